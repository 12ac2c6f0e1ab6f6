//! The demo's faults do what they say, over real sockets.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::StatusCode;
use metaconsole::demo::{Console, Fault, Fleet, Rule, Settings};
use reqwest::Client;

fn console() -> Console {
    let fleet = Fleet::empty(1_795_404_700).group(2, "Servers", 0);
    Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), fleet, Settings::default()).unwrap()
}

/// A console with one fault.
fn with(fault: impl Into<Rule>) -> Console {
    let console = console();
    console.faults().add(fault);
    console
}

async fn send(console: &Console) -> reqwest::Result<reqwest::Response> {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{}include/api.php?op=get&op2=groups&return_type=json", console.url());
    client.get(url).bearer_auth("demo-token-read-only").send().await
}

async fn bytes(console: &Console) -> Vec<u8> {
    send(console).await.unwrap().bytes().await.unwrap().to_vec()
}

const GROUPS: &str = r#"{"type":"array","data":[[0,"All"],[2,"Servers"]]}"#;

/// The error of the operating system somewhere below an error.
fn cause(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found.kind());
        }
        next = error.source();
    }
    None
}

#[tokio::test]
async fn without_faults_it_answers() {
    assert_eq!(bytes(&console()).await, GROUPS.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn delay_and_drip_take_their_time() {
    let console = with(Fault::Delay(Duration::from_secs(40)));
    let started = metaconsole::clock::Stopwatch::start();
    assert_eq!(bytes(&console).await, GROUPS.as_bytes());
    assert!(started.elapsed() >= Duration::from_secs(40));
    console.faults().clear().unwrap();
    console.faults().add(Fault::Drip(Duration::from_secs(1)));
    let started = metaconsole::clock::Stopwatch::start();
    assert_eq!(bytes(&console).await, GROUPS.as_bytes());
    assert!(started.elapsed() >= Duration::from_secs(GROUPS.len() as u64));
}

#[tokio::test]
async fn a_hanging_request_ends_with_its_caller() {
    let console = with(Fault::Hang);
    let asking = tokio::spawn(send_to(console.url()));
    console.requests().until(|load| load.in_flight == 1).await;
    asking.abort();
    let load = console.requests().until(|load| load.in_flight == 0 && load.connections == 0).await;
    assert_eq!(load.total, 1);
}

async fn send_to(url: String) {
    let _answer = Client::new().get(format!("{url}include/api.php?op=get&op2=test")).send().await;
}

#[tokio::test]
async fn connections_are_reset_or_refused_and_come_back() {
    let console = with(Fault::ResetOnAccept);
    assert_eq!(cause(&send(&console).await.unwrap_err()), Some(io::ErrorKind::ConnectionReset));
    console.faults().clear().unwrap();
    console.faults().add(Fault::Refuse);
    assert_eq!(cause(&send(&console).await.unwrap_err()), Some(io::ErrorKind::ConnectionRefused));
    console.faults().clear().unwrap();
    assert_eq!(bytes(&console).await, GROUPS.as_bytes());
    console.faults().add(Fault::ResetMidAnswer);
    let answer = send(&console).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(cause(&answer.bytes().await.unwrap_err()), Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn refusing_cuts_a_connection_that_is_open() {
    let console = console();
    let client = Client::new();
    let url = format!("{}include/api.php?info=version", console.url());
    client.get(&url).send().await.unwrap().bytes().await.unwrap();
    console.faults().add(Fault::Refuse);
    assert!(client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn other_programs_answer_instead() {
    for (fault, status, start) in [
        (Fault::Crash, 500, ""),
        (Fault::ProxyPage(StatusCode::BAD_GATEWAY), 502, "<html>\r\n<head><title>502 Bad Gateway"),
        (Fault::ProxyPage(StatusCode::OK), 200, "<html>"),
        (Fault::LoginPage, 200, "<!DOCTYPE html>"),
        (Fault::Redirect("https://elsewhere.example/".to_owned()), 301, ""),
        (Fault::BasicAuthentication("Basic eDp5".to_owned()), 401, "<html>"),
    ] {
        let console = with(fault.clone());
        let answer = send(&console).await.unwrap();
        assert_eq!(answer.status(), status, "{fault:?}");
        let body = answer.text().await.unwrap();
        assert!(body.starts_with(start) && (!start.is_empty() || body.is_empty()), "{fault:?} {body}");
    }
}

#[tokio::test]
async fn answers_are_spoiled() {
    let half = &GROUPS.as_bytes()[..GROUPS.len() / 2];
    assert_eq!(bytes(&with(Fault::Truncated)).await, half);
    assert_eq!(bytes(&with(Fault::ByteOrderMark)).await, ["\u{feff}", GROUPS].concat().as_bytes());
    let warned = bytes(&with(Fault::PhpWarning)).await;
    assert!(warned.starts_with(b"<br />\n<b>Warning</b>:") && warned.ends_with(GROUPS.as_bytes()));
    assert!(send(&with(Fault::WrongLength(10))).await.unwrap().bytes().await.is_err());
    assert_eq!(bytes(&with(Fault::WrongLength(-10))).await.len(), GROUPS.len() - 10);
    let date = send(&with(Fault::ClockSkew(-7200))).await.unwrap().headers()["date"].to_str().unwrap().to_owned();
    let behind = httpdate::parse_http_date(&date).unwrap().elapsed().unwrap();
    assert!((7200..7260).contains(&behind.as_secs()), "{behind:?}");
}

#[tokio::test]
async fn bodies_go_on_and_a_bomb_unpacks() {
    const SIZE: u64 = 8 << 20;
    for fault in [Fault::EndlessRows(SIZE), Fault::EndlessNoise(SIZE), Fault::GzipBomb(SIZE)] {
        let length = bytes(&with(fault.clone())).await.len() as u64;
        assert!((SIZE..SIZE + 100).contains(&length), "{fault:?} {length}");
    }
    // Whoever hangs up early ends it.
    let console = with(Fault::EndlessRows(2 << 30));
    let mut answer = send(&console).await.unwrap();
    assert!(answer.chunk().await.unwrap().unwrap().starts_with(b"{\"type\":\"array\""));
    drop(answer);
    console.requests().until(|load| load.in_flight == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stripped_header_is_a_failed_login() {
    assert_eq!(bytes(&with(Fault::DropsAuthorization)).await, b"auth error");
}

#[tokio::test]
async fn a_rule_keeps_to_its_operation_and_number() {
    let console = with(Fault::Crash.on("groups").times(2));
    let version = format!("{}include/api.php?info=version", console.url());
    assert_eq!(reqwest::get(&version).await.unwrap().status(), 200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(send(&console).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!(console.requests().count("groups"), 3);
}
