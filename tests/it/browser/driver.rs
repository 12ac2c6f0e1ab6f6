//! A browser of a test's own: a driver on a free port, an empty profile, both gone when the test ends.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// No test waits so long for something on a page, unless it is about to fail.
const LONG: Duration = Duration::from_secs(20);

static TURN: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

/// A running driver. Ends when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running browser. Its fields end in their order: the session, with it Chromium, then the driver.
pub(super) struct Browser {
    pub(super) driver: WebDriver,
    _process: Process,
    _profile: tempfile::TempDir,
    _turn: OwnedSemaphorePermit,
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|place| place.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing, and this test needs it: run scripts/test, which installs it"))
}

impl Browser {
    pub(super) async fn start(width: u32, height: u32) -> Self {
        let turn = Arc::clone(&TURN).acquire_owned().await.unwrap();
        let profile = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program("chromedriver"));
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process(command.spawn().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = format!("http://127.0.0.1:{port}/status");
        let ready = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            while client.get(&status).send().await.is_err() {
                tick.tick().await;
            }
        };
        tokio::time::timeout(LONG, ready).await.expect("chromedriver does not start");
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(program("chromium").to_str().unwrap()).unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let size = format!("--window-size={width},{height}");
        // As root, as in containers, Chromium has no sandbox; these pages are our own.
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &folder, &size] {
            wanted.add_arg(argument).unwrap();
        }
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.unwrap();
        let browser = Self { driver, _process: process, _profile: profile, _turn: turn };
        // The window has a frame, even without a screen; the page is to have this size.
        browser.size(width, height).await;
        browser
    }

    /// Ends it as a person does, and gives what it has written about all that.
    pub(super) async fn ended(self) -> tempfile::TempDir {
        let Self { driver, _process: process, _profile: profile, _turn } = self;
        driver.quit().await.unwrap();
        drop(process);
        profile
    }

    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    pub(super) async fn size(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(super) async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    pub(super) async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// What a script gives.
    pub(super) async fn eval(&self, script: &str) -> Value {
        let script = format!("return {script};");
        self.driver.execute(script.as_str(), Vec::<Value>::new()).await.unwrap().json().clone()
    }

    /// The text of what is seen of an element; empty when there is none.
    pub(super) async fn text(&self, selector: &str) -> String {
        let text = format!("[...document.querySelectorAll({})].map((e) => e.innerText).join('\\n')", json!(selector));
        self.eval(&text).await.as_str().unwrap_or_default().to_owned()
    }

    /// Keys to whatever has the focus.
    pub(super) async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// A click as a hand makes it.
    pub(super) async fn click(&self, selector: &str) {
        for _ in 0..50 {
            match self.driver.find(By::Css(selector)).await.unwrap().click().await {
                Ok(()) => return,
                // Drawn anew since it was found.
                Err(error) if error.to_string().contains("stale element") => {}
                Err(error) => panic!("{selector}: {error}"),
            }
        }
        panic!("{selector} is drawn anew all the time");
    }

    /// To the window that was opened last.
    pub(super) async fn newest(&self) {
        let last = self.driver.windows().await.unwrap().pop().unwrap();
        self.driver.switch_to_window(last).await.unwrap();
    }

    /// Back to the first.
    pub(super) async fn first(&self) {
        let first = self.driver.windows().await.unwrap().remove(0);
        self.driver.switch_to_window(first).await.unwrap();
    }

    /// Waits until a script gives true.
    pub(super) async fn until(&self, what: &str) {
        let looking = async {
            let mut tick = tokio::time::interval(Duration::from_millis(30));
            while self.eval(what).await != Value::Bool(true) {
                tick.tick().await;
            }
        };
        if tokio::time::timeout(LONG, looking).await.is_err() {
            panic!("never: {what}\nthe page says:\n{}", self.text("body").await);
        }
    }

    /// Waits until an element's text has this in it.
    pub(super) async fn says(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.until(&format!("[...document.querySelectorAll({selector})].some((e) => e.innerText.includes({text}))"))
            .await;
    }
}
