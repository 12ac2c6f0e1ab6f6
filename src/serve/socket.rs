//! A viewer's socket that gives up: on a head that does not become whole, and on an answer that nobody takes.
//!
//! A connection is in one of three phases, which the socket and the service behind it tell each other. Before its first
//! head and as soon as the first byte of a later one is there, it owes a whole head. While it is answered, only writes
//! are timed, and only while the other side takes nothing: a stream with nothing to say may be silent for hours.
//! Between two requests it rests; how long is hyper's to watch.
//!
//! Whoever takes a little now and then would hold an export and its inventories for hours. So a connection has a budget
//! of waiting ([`GRACE`]): time in which an answer waits to be taken uses it up, bytes that are taken fill it again, at
//! [`LEAST`] bytes a second. Who is slower than that on average is cut when it is gone; silence of the answer costs nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::clock::{Deadline, Stopwatch};

/// An answer may wait to be taken so long in all, beyond what its bytes allow.
const GRACE: Duration = Duration::from_secs(120);

/// Bytes a second that somebody who takes an answer takes at least.
const LEAST: u32 = 16 << 10;

const RESTS: u8 = 0;
const OWES_A_HEAD: u8 = 1;
const IS_ANSWERED: u8 = 2;

/// What a connection is doing; shared by its socket and its service.
#[derive(Clone, Debug)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// Of a new connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(OWES_A_HEAD)))
    }

    /// A head is whole.
    pub(super) fn answered(&self) {
        self.0.store(IS_ANSWERED, Ordering::Release);
    }

    /// The answer has been handed over, or dropped.
    pub(super) fn rests(&self) {
        self.0.store(RESTS, Ordering::Release);
    }

    /// Bytes have come. Whether a new head begins with them.
    fn begins(&self) -> bool {
        self.0.compare_exchange(RESTS, OWES_A_HEAD, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn owes_a_head(&self) -> bool {
        self.0.load(Ordering::Acquire) == OWES_A_HEAD
    }
}

/// A socket with these two patiences.
#[derive(Debug)]
pub(super) struct Timed<S> {
    inner: S,
    phase: Phase,
    head: Duration,
    write: Duration,
    until_head: Pin<Box<Sleep>>,
    /// There while a write waits: since when, and until when.
    until_written: Option<(Stopwatch, Pin<Box<Sleep>>)>,
    /// What is left of the budget of waiting.
    budget: Duration,
}

impl<S> Timed<S> {
    /// `head`: until a head is whole. `write`: until something of what waits to be written is taken.
    pub(super) fn new(inner: S, phase: Phase, head: Duration, write: Duration) -> Self {
        Self { inner, phase, head, write, until_head: sleep_for(head), until_written: None, budget: GRACE }
    }

    /// The result of a write, or the end of the patience.
    fn written(&mut self, context: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            if let Some((waits, _)) = self.until_written.take() {
                let bytes = result.as_ref().map_or(0, |bytes| u32::try_from(*bytes).unwrap_or(u32::MAX));
                let earned = Duration::from_secs_f64(f64::from(bytes) / f64::from(LEAST));
                self.budget = (self.budget.saturating_sub(waits.elapsed()) + earned).min(GRACE);
            }
            return Poll::Ready(result);
        }
        let patience = self.write.min(self.budget);
        let (_, until) = self.until_written.get_or_insert_with(|| (Stopwatch::start(), sleep_for(patience)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes the answer, or too slowly")))
    }
}

fn sleep_for(duration: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Deadline::after(duration).instant()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before && this.phase.begins() => {
                this.until_head.as_mut().reset(Deadline::after(this.head).instant());
            }
            Poll::Pending if this.phase.owes_a_head() => {
                ready!(this.until_head.as_mut().poll(context));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request is not whole")));
            }
            _ => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const WRITE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_makes_no_progress_ends_and_one_that_makes_some_goes_on() {
        let (ours, mut theirs) = duplex(4);
        let mut ours = Timed::new(ours, Phase::new(), HEAD, WRITE);
        let writing = tokio::spawn(async move { ours.write_all(&[0; 20]).await });
        let watch = Stopwatch::start();
        for _ in 0..3 {
            tokio::time::advance(WRITE - Duration::from_secs(1)).await;
            theirs.read_exact(&mut [0; 4]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let ended = writing.await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // Three times something was taken just before the end, then no more.
        assert!(watch.elapsed() >= 4 * WRITE - Duration::from_secs(4), "{:?}", watch.elapsed());
    }

    /// Somebody takes `bytes` of an endless answer every `pause`. How long they may, if not for a day.
    async fn taken(bytes: usize, pause: Duration) -> Option<Duration> {
        let (ours, mut theirs) = duplex(bytes);
        let mut ours = Timed::new(ours, Phase::new(), HEAD, WRITE);
        let watch = Stopwatch::start();
        let writing = async { while ours.write_all(&vec![0; bytes]).await.is_ok() {} };
        let taking = async {
            let mut piece = vec![0; bytes];
            loop {
                tokio::time::sleep(pause).await;
                if theirs.read_exact(&mut piece).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let day = Duration::from_secs(86_400);
        tokio::select! {
            () = writing => Some(watch.elapsed()),
            () = taking => None,
            () = tokio::time::sleep(day) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_an_answer_slowly_may_and_who_only_holds_it_may_not() {
        // A little just before every end of the patience: once held for hours.
        let held = taken(1000, WRITE - Duration::from_secs(1)).await.unwrap();
        assert!(held >= GRACE && held < GRACE + 2 * WRITE, "{held:?}");
        // Just below the least rate: longer, and not for ever.
        let least = LEAST as usize;
        let held = taken(least * 9, Duration::from_secs(10)).await.unwrap();
        assert!(held > 5 * GRACE && held < 30 * GRACE, "{held:?}");
        // Above it.
        assert_eq!(taken(least * 11, Duration::from_secs(10)).await, None);
        assert_eq!(taken(least * 2, Duration::from_secs(1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_silent_for_hours_costs_nothing() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Timed::new(ours, Phase::new(), HEAD, WRITE);
        for _ in 0..100 {
            ours.write_all(&[0; 64]).await.unwrap();
            theirs.read_exact(&mut [0; 64]).await.unwrap();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(ours.budget, GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_and_a_connection_that_rests_or_is_answered_has_more() {
        let (ours, mut theirs) = duplex(64);
        let phase = Phase::new();
        let mut ours = Timed::new(ours, phase.clone(), HEAD, WRITE);
        let mut byte = [0; 1];
        theirs.write_all(b"a").await.unwrap();
        ours.read_exact(&mut byte).await.unwrap();
        phase.answered();
        let long = tokio::time::timeout(6 * HEAD, ours.read_exact(&mut byte)).await;
        assert!(long.is_err(), "cut while it is answered");
        phase.rests();
        let long = tokio::time::timeout(6 * HEAD, ours.read_exact(&mut byte)).await;
        assert!(long.is_err(), "cut while it rests");
        theirs.write_all(b"b").await.unwrap();
        ours.read_exact(&mut byte).await.unwrap();
        let watch = Stopwatch::start();
        let drip = tokio::spawn(async move {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if theirs.write_all(b"c").await.is_err() {
                    return;
                }
            }
        });
        let mut rest = Vec::new();
        let ended = ours.read_to_end(&mut rest).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(watch.elapsed() >= HEAD && watch.elapsed() < 2 * HEAD, "{:?}", watch.elapsed());
        drip.abort();
    }
}
