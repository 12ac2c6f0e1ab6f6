//! The real program while it runs: what it says, its signals, and questions to it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

/// No test waits so long, unless it is about to fail.
const LONG: Duration = Duration::from_secs(60);

/// A running program, and what it has said.
pub(crate) struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    pub(crate) said: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self::spawn(command.stdout(Stdio::null()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stderr, said: Vec::new() }
    }

    /// One whose words on stdout are wanted.
    pub(crate) fn start_telling(mut command: Command) -> Self {
        Self::spawn(command.stdout(Stdio::piped()))
    }

    /// What it writes on stdout up to a line with this text; None when it ends before.
    pub(crate) async fn greeting(&mut self, text: &str) -> Option<String> {
        let mut stdout = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        while let Some(line) = tokio::time::timeout(LONG, stdout.next_line()).await.unwrap().unwrap() {
            greeting.push_str(&line);
            greeting.push('\n');
            if line.contains(text) {
                return Some(greeting);
            }
        }
        None
    }

    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(LONG, self.stderr.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("nothing more was said: {:#?}", self.said)).unwrap()?;
        self.said.push(line.clone());
        Some(line)
    }

    /// The next line with this text.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        loop {
            match self.line().await {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("it ended without saying `{text}`: {:#?}", self.said),
            }
        }
    }

    /// Where it listens, once it does.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let line = self.says("listens on http://").await;
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its exit code, and all it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        while self.line().await.is_some() {}
        let status = tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.said.join("\n"))
    }

    pub(crate) async fn end(self) -> String {
        self.signal("TERM");
        let (code, said) = self.ended().await;
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// Where it listens, when it logs JSON.
    pub(crate) async fn address_in_json(&mut self) -> SocketAddr {
        let line = self.says("listens on").await;
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        record["address"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }
}

/// The whole answer to a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
