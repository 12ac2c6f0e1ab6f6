//! Single use: who remembers which tokens were taken.

use futures_util::future::BoxFuture;

use crate::clock::Timestamp;

/// What became of a token's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It was free and is used up now, durably.
    First,
    /// It was used before, or is so old that nobody remembers.
    Replayed,
    /// The store does not work: nothing may be accepted.
    Unavailable,
}

/// Remembers numbers of used tokens. An implementation answers [`Use::First`] at most once for a number, whoever asks,
/// however many at a time, over restarts too.
pub trait UsedTokens: Send + Sync {
    /// Uses up the number `jti` of a token for `site` that expires at `exp` (seconds since 1970).
    fn consume<'a>(&'a self, site: &'a str, jti: &'a str, exp: u64, now: Timestamp) -> BoxFuture<'a, Use>;

    /// Whether it did not work when it was last tried.
    fn is_failing(&self) -> bool {
        false
    }
}
