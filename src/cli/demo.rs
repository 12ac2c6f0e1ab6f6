//! `demo`: consoles on loopback, and a configuration for them until they end.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::out::{self, Data};
use super::{DemoArgs, Exit};
use crate::demo::Demo;

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) async fn demo(args: DemoArgs, program: &Path) -> Exit {
    let demo = match Demo::start(args.port) {
        Ok(demo) => demo,
        Err(error) => {
            out::say(error);
            return Exit::Failed;
        }
    };
    let folder = match configuration(&demo) {
        Ok(folder) => folder,
        Err(error) => {
            out::say(format_args!("the demo's configuration cannot be written: {error}"));
            return Exit::Failed;
        }
    };
    let mut data = Data::exact();
    data.write(format_args!("{}", greeting(&demo, &folder.0.join("sites.yaml"), program)));
    if let Err(error) = data.finish() {
        out::say(format_args!("the greeting could not be written: {error}"));
    }
    ended().await;
    Exit::Complete
}

fn configuration(demo: &Demo) -> io::Result<Folder> {
    let folder = Folder(new_folder()?);
    let token = demo.sites().first().map(|site| site.token.as_str()).unwrap_or_default();
    std::fs::write(folder.0.join("token"), token)?;
    std::fs::write(folder.0.join("sites.yaml"), demo.sites_yaml(Path::new("token")))?;
    Ok(folder)
}

/// A folder that was not there before: not one that somebody else has put in its place.
fn new_folder() -> io::Result<PathBuf> {
    for number in 0..100 {
        let folder = std::env::temp_dir().join(format!("metaconsole-demo-{}-{number}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn greeting(demo: &Demo, config: &Path, program: &Path) -> String {
    let mut text = String::from("Six demo sites, on loopback only. Ctrl-C ends them.\n\n");
    for site in demo.sites() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {:<8} {:<18} {}", site.id, site.name, site.url);
    }
    let ask = format!("{} search --config {}", program.display(), config.display());
    let _ = write!(text, "\nIn another terminal:\n\n  {ask} web\n  {ask} status:critical site:madrid\n");
    text
}

/// Until somebody ends the program.
async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
    }
    // Without signals, only killing ends it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
