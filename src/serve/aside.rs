//! What may hang is done beside the loop that hears signals: looking at files. A folder of a server that is gone answers
//! a call after hours or never, and no call can be taken back; so it is left alone after a while, in a thread of its own.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc as questions;

use crate::config::{self, Config, Environment, Mistakes};

/// Files are on a disk: whoever needs longer is waited for no more.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// It still runs. Comes when it has ended, whatever it found.
pub(super) type Hangs = BoxFuture<'static, ()>;

/// Does this in a thread of its own, and waits for it for a while.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Hangs> {
    let mut running = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(LIMIT, &mut running).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The program ends.
        Ok(Err(_)) => Err(futures_util::future::pending().boxed()),
        Err(_) => Err(running.map(drop).boxed()),
    }
}

/// [`config::load`], with the environment looked up here.
pub(super) async fn load(file: &Path, environment: Environment<'_>) -> Result<Result<Config, Mistakes>, Hangs> {
    let (ask, mut asked) = questions::unbounded_channel::<(String, mpsc::Sender<Option<String>>)>();
    let path = file.to_path_buf();
    let reading = run(move || {
        config::load(&path, &|name| {
            let (tell, told) = mpsc::channel();
            // Nobody answers when nobody waits any more; nor does anybody look at what is found then.
            ask.send((name.to_owned(), tell)).ok()?;
            told.recv().ok()?
        })
    });
    let answering = async {
        while let Some((name, tell)) = asked.recv().await {
            let _ = tell.send(environment(&name));
        }
        std::future::pending().await
    };
    tokio::select! {
        read = reading => read,
        read = answering => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_left_alone_and_its_end_is_heard() {
        let (gate, opens) = mpsc::channel::<()>();
        let mut hangs = Box::pin(run(move || opens.recv()));
        assert!(hangs.as_mut().now_or_never().is_none());
        tokio::time::advance(LIMIT - Duration::from_millis(1)).await;
        assert!(hangs.as_mut().now_or_never().is_none(), "given up too early");
        tokio::time::advance(Duration::from_millis(2)).await;
        let Err(mut ended) = hangs.await else { panic!("it has not ended") };
        assert!((&mut ended).now_or_never().is_none());
        gate.send(()).unwrap();
        ended.await;
    }

    #[tokio::test]
    async fn the_environment_is_looked_up_where_the_loop_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.yaml");
        let site =
            |token: &str| format!("sites: [{{id: a, url: \"http://10.0.0.1/\", credentials: {{token: \"{token}\"}}}}]");
        std::fs::write(&file, site("${TOKEN}")).unwrap();
        // Not `Send`, so it cannot have left this thread.
        let asked = std::cell::RefCell::new(Vec::new());
        let environment = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            Some("x".to_owned())
        };
        let read = load(&file, &environment).await.ok().unwrap();
        assert_eq!(read.unwrap().sites.len(), 1);
        assert_eq!(*asked.borrow(), ["TOKEN"]);
        std::fs::write(&file, site("literal")).unwrap();
        assert!(load(&file, &environment).await.ok().unwrap().is_err());
    }
}
