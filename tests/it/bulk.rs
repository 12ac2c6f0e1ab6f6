//! A hundred thousand agents through the real program: exports, and what they cost in memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use metaconsole::clock::Clock;
use metaconsole::demo::{Agent, Console, Fleet, Module, ModuleState, Settings};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::program::Config;
use crate::support::running::{Running, get};

const SITES: u32 = 4;
const OF_EACH: u32 = 25_000;
const ALL: usize = (SITES * OF_EACH) as usize;

/// What an export of everything may cost besides what it stands on, in kB. All rows as text take more than 40 MB.
const MAY_GROW: u64 = 12 << 10;

/// Consoles with all the agents, each with a long name; faster than `Fleet::add`, which looks for free numbers.
fn consoles() -> Vec<Console> {
    let now = Clock::System.now().as_secs();
    let agent = |site: u32, id: u32| {
        let module = Module { id, utimestamp: now, ..Module::new("CPU", ModuleState::Normal, "1") };
        let alias = format!("{:05}-s{site} of a rack that has a long name, as they do", id * 7919 % OF_EACH);
        Agent {
            id,
            last_contact: now,
            address: format!("10.{site}.{}.{}", id / 250, id % 250),
            ..Agent::new(&alias, 2)
        }
        .module(module)
    };
    let console = |site| {
        let mut fleet = Fleet::empty(now).group(2, "Servers", 0);
        fleet.agents = (1..=OF_EACH).map(|id| agent(site, id)).collect();
        Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
    };
    (0..SITES).map(console).collect()
}

fn config(consoles: &[Console], before: &str) -> Config {
    let sites = consoles.iter().enumerate().map(|(number, console)| {
        let url = console.url();
        format!("  - {{id: s{number}, url: \"{url}\", credentials: {{token: \"file:token\"}}}}\n")
    });
    Config::new(&format!("{before}sites:\n{}", sites.collect::<String>()))
}

const GATEWAY: &str = "gateway: {listen: \"127.0.0.1:0\"}\ndefaults: {refresh_after: 1h, max_age: 1h}\n";

/// A figure of a process in kB: what it holds now, or has held at most.
fn memory(process: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a process holds when it does nothing any more.
async fn settled(process: u32) -> u64 {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let (mut held, mut same) = (0, 0);
    while same < 20 {
        tick.tick().await;
        let now = memory(process, "VmRSS");
        (held, same) = (now, if now == held { same + 1 } else { 0 });
    }
    held
}

/// The real gateway, once it knows all agents.
async fn warm(config: &Config) -> (Running, SocketAddr) {
    let mut running = Running::start(config.command("serve"));
    let address = running.address().await;
    let answer = get(address, "/api/v1/search?limit=1&deadline=60s").await;
    assert!(answer.contains(&format!("\"total\":{ALL},\"stale_rows\":0,\"complete\":true")), "{answer:.600}");
    (running, address)
}

#[cfg(target_os = "linux")]
#[expect(clippy::print_stderr, reason = "the figures are for people to read as well")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_to_a_slow_reader_costs_the_gateway_no_more_than_a_few_rows() {
    let consoles = consoles();
    let config = config(&consoles, GATEWAY);
    let (running, address) = warm(&config).await;
    for (form, least) in [("csv", 20 << 20), ("ndjson", 50 << 20)] {
        let before = memory(running.id(), "VmRSS");
        let (mut most, mut bytes, mut looked, mut lines) = (0, 0, 0, 0);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /api/v1/search?format={form} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut piece = vec![0; 64 << 10];
        let mut last = Vec::new();
        loop {
            if bytes >= looked {
                // Nothing is taken for a while, so all that the gateway makes ahead is made.
                most = most.max(settled(running.id()).await);
                looked = bytes + (4 << 20);
            }
            let read = stream.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            lines += piece[..read].iter().filter(|byte| **byte == b'\n').count();
            last = piece[..read].to_vec();
        }
        let end = String::from_utf8_lossy(&last).into_owned();
        assert!(end.contains("Metaconsole-Sites: ok=4") || end.contains("\"complete\":true"), "{end}");
        assert!(bytes > least && lines > ALL, "{form}: {bytes} bytes, {lines} lines");
        assert!(most < before + MAY_GROW, "{form}: {before} kB before, {most} kB in between, of {bytes} bytes");
        eprintln!("{form}: {} MB with {before} kB before, {most} kB at most", bytes >> 20);
    }
    running.end().await;
}

/// The most that the command line has held when it has written so many lines.
#[cfg(target_os = "linux")]
async fn peak(mut command: Command, lines: usize) -> (u64, Child, BufReader<tokio::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = Vec::new();
    for number in 0..lines {
        line.clear();
        assert!(stdout.read_until(b'\n', &mut line).await.unwrap() > 0, "it ended after {number} lines");
    }
    (memory(child.id().unwrap(), "VmHWM"), child, stdout)
}

#[cfg(target_os = "linux")]
#[expect(clippy::print_stderr, reason = "the figures are for people to read as well")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_writes_all_rows_and_holds_few() {
    let consoles = consoles();
    let config = config(&consoles, GATEWAY);
    let (running, address) = warm(&config).await;
    let gateway = format!("http://{address}/");
    for (form, gateway) in [("ndjson", None), ("csv", Some(&gateway)), ("ndjson", Some(&gateway))] {
        let command = |limit: &[&str]| {
            let mut command = config.command("search");
            command.args(["--deadline", "120s", "--format", form]).args(limit);
            if let Some(gateway) = gateway {
                command.args(["--gateway", gateway]);
            }
            command
        };
        // More than a pipe holds, so that it is still there when it is looked at.
        let (few, mut child, stdout) = peak(command(&["--limit", "2000"]), 1).await;
        // The reader leaves: no error, no word.
        drop(stdout);
        let mut words = String::new();
        child.stderr.take().unwrap().read_to_string(&mut words).await.unwrap();
        assert_eq!((child.wait().await.unwrap().code(), words.as_str()), (Some(0), ""), "{form} {gateway:?}");
        let (all, mut child, mut stdout) = peak(command(&[]), ALL - 1000).await;
        eprintln!("{form} {gateway:?}: {few} kB for 2000 rows, {all} kB for all");
        assert!(all < few + MAY_GROW, "{form} {gateway:?}: {few} kB for 2000 rows, {all} kB for all");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.unwrap();
        let rows = rest.lines().filter(|line| !line.starts_with('#')).count();
        // csv has a head.
        assert_eq!(rows, 1000 + usize::from(form == "csv"));
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    }
    running.end().await;
}
