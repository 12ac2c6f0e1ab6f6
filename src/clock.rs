//! The only file that asks for the time: instants of the wall clock, and deadlines of the monotonic one.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// An instant of the wall clock, in milliseconds since 1970 (UTC). Shown as RFC 3339 to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From RFC 3339, with its zone.
    pub fn from_rfc_3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long before `later` this was; zero when it was not.
    pub fn until(self, later: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// So long after this.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.as_secs()) {
            Ok(instant) => write!(f, "{instant}"),
            // Beyond year 9999, which only a hostile site sends.
            Err(_) => write!(f, "{} s after 1970", self.as_secs()),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As it is shown, to the second.
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let far = text.strip_suffix(" s after 1970").and_then(|seconds| seconds.parse().ok());
        let seconds = far.or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_second()));
        seconds.map(Self::from_secs).ok_or_else(|| serde::de::Error::custom("no instant as RFC 3339 has it"))
    }
}

/// Where the wall clock's time comes from. Tests pass one that follows tokio's (pausable) time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A start plus the time that tokio's clock has counted since.
    Following {
        /// The wall time at `origin`.
        start: Timestamp,
        /// When the count began.
        origin: Instant,
    },
}

impl Clock {
    /// A clock that begins at `start` now and advances with tokio's time, paused or not.
    pub fn following(start: Timestamp) -> Self {
        Self::Following { start, origin: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let millis = match self {
            Self::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(_) => 0,
            },
            Self::Following { start, origin } => {
                let passed = Instant::now().saturating_duration_since(*origin);
                start.0.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
            }
        };
        Timestamp(millis)
    }
}

/// A moment after which nobody waits. Monotonic; compared and split, never guessed again further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now. A duration beyond any clock means thirty years.
    pub fn after(patience: Duration) -> Self {
        let now = Instant::now();
        let far = Duration::from_secs(30 * 365 * 86_400);
        Self(now.checked_add(patience.min(far)).unwrap_or(now))
    }

    /// What is left of it; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The moment itself, for `tokio::time::timeout_at`.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// An equal part of what is left, for the next of `tries` attempts.
    pub fn share(self, tries: usize) -> Self {
        let parts = u32::try_from(tries.max(1)).unwrap_or(u32::MAX);
        Self::after(self.remaining() / parts)
    }

    /// Earlier by what others still need, but never by more than half.
    pub fn keeping(self, for_others: Duration) -> Self {
        let remaining = self.remaining();
        Self::after(remaining.saturating_sub(for_others).max(remaining / 2)).min(self)
    }
}

/// Measures how long something took, on tokio's clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The start.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        assert_eq!(Timestamp::from_secs(1_795_404_681).to_string(), "2026-11-23T03:31:21Z");
        assert_eq!(Timestamp::from_secs(i64::MAX).to_string(), "9223372036854775 s after 1970");
    }

    #[tokio::test(start_paused = true)]
    async fn a_following_clock_and_a_deadline_use_paused_time() {
        let clock = Clock::following(Timestamp::from_secs(100));
        let deadline = Deadline::after(Duration::from_secs(6));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), Timestamp::from_secs(102));
        assert_eq!(deadline.remaining(), Duration::from_secs(4));
        assert_eq!(deadline.share(2).remaining(), Duration::from_secs(2));
        assert_eq!(deadline.keeping(Duration::from_secs(1)).remaining(), Duration::from_secs(3));
        assert_eq!(deadline.keeping(Duration::from_secs(9)).remaining(), Duration::from_secs(2));
        assert_eq!(deadline.keeping(Duration::ZERO), deadline);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }
}
