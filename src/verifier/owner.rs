//! What the owner of a verifier brings: sessions, and the way to the gateway.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use futures_util::future::BoxFuture;

use crate::delegation::Claims;

/// Somebody who is logged in at the site with this browser, by whatever way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The account.
    pub account: String,
    /// The person at the gateway, when we let them in.
    pub actor: Option<String>,
}

/// An opening that was accepted: there is to be a session for it.
#[derive(Clone, Debug)]
pub struct Entered<'a> {
    /// What the token said.
    pub claims: &'a Claims,
    /// What the gateway said, where it is asked.
    pub confirmed: Option<&'a Confirmed>,
    /// Headers of the request. A session that they name is replaced: the owner ends it.
    pub headers: &'a HeaderMap,
}

/// Sessions of a product. An error is a reason for the journal, a stable word; the browser is told the one page.
pub trait Sessions: Send + Sync {
    /// The name of the cookie that its sessions are in.
    fn cookie(&self) -> &'static str;

    /// Who is logged in by these headers. `None` for nobody. An error refuses: for example two cookies of one name.
    fn live<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Option<Live>, &'static str>>;

    /// Whether the product takes this account now (it exists, is not disabled). Asked behind all other checks.
    fn admits<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<(), &'static str>>;

    /// Begins a session under a new id. Gives the values of `Set-Cookie`.
    fn begin<'a>(&'a self, entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>>;

    /// The same person opens the same account again, and their session is live: it stays. Gives values of `Set-Cookie`,
    /// usually none.
    fn keep<'a>(&'a self, _entered: Entered<'a>) -> BoxFuture<'a, Result<Vec<HeaderValue>, &'static str>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Ends sessions that were begun here: of this account, opened by this person; `None` means any. Gives their number.
    fn end<'a>(
        &'a self,
        account: Option<&'a str>,
        actor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, &'static str>>;
}

/// A question about a token.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The key id it was signed under: the bearer is that of the same one.
    pub kid: &'a str,
    /// The token. Never in a log.
    pub token: &'a str,
    /// The browser's state.
    pub state: &'a str,
    /// The browser's address.
    pub client: IpAddr,
}

/// What the gateway says of a good token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The account.
    pub account: String,
    /// The landing path.
    pub path: String,
    /// Under this name it tells later whether the opening still holds.
    pub grant: Option<String>,
    /// So long a session may go on without asking again.
    pub longest: Option<Duration>,
    /// It was said just now; else before the person was asked "continue as …?", and may be different by now.
    pub fresh: bool,
}

/// The gateway gave no answer that says yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The way to the gateway.
pub trait Gateway: Send + Sync {
    /// Asks about a token; it is used up there by the question. `Ok(None)`: it is not good.
    fn confirm<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Option<Confirmed>, NoAnswer>>;
}
