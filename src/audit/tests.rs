//! The log on real folders and on a disk that fails.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::chain::Head;
use super::disk::{Disk, Segment};
use super::writer::{End, Writer};
use super::*;
use crate::clock::{Clock, Timestamp};

fn open(folder: &Path) -> Log {
    Log::open(folder, "gw-1", Limits::default(), Clock::System).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    segments::list(folder).unwrap()
}

#[tokio::test]
async fn a_chain_goes_on_over_segments_days_and_restarts() {
    tokio::time::pause();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let clock = Clock::following(Timestamp::from_secs(1_767_225_600));
    for round in 0..3 {
        let log = Log::open(&path, "gw-1", Limits { segment_bytes: 1000 }, clock).unwrap();
        for n in 0..10 {
            log.append(Record::login(&format!("local:user{n}")).request(&format!("r-{round}-{n}"))).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(86_400)).await;
        log.append(Record::logout("local:user0")).await.unwrap();
        log.close().await;
    }
    let all = files(&path);
    assert!(all.len() > 6, "{all:?}");
    let verified = verify_files(&all, None).unwrap();
    assert_eq!((verified.lines, verified.first), (33, 1));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(all.iter().all(|file| fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600));
    let back: Vec<u64> = newest(&path, Filter::default()).unwrap().map(|entry| entry.unwrap().seq).collect();
    assert_eq!(back, (1..=33).rev().collect::<Vec<_>>());
    let only = Filter { actor: Some("local:user0".into()), action: Some("logout".into()), ..Filter::default() };
    let found: Vec<u64> = newest(&path, only).unwrap().map(|entry| entry.unwrap().seq).collect();
    assert_eq!(found, [33, 22, 11]);
    let day = Filter { from: Some(Timestamp::from_secs(1_767_225_600 + 86_400)), ..Filter::default() };
    assert_eq!(newest(&path, day).unwrap().count(), 23);
}

#[tokio::test]
async fn lines_are_as_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::following(Timestamp::from_secs(1_767_225_600));
    tokio::time::pause();
    let log = Log::open(folder.path(), "gw-1", Limits::default(), clock).unwrap();
    log.append(Record::login("u_7f3a9c").from("192.0.2.10".parse().unwrap()).request("r-0001")).await.unwrap();
    log.close().await;
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap();
    let line = fs::read_to_string(&files(folder.path())[0]).unwrap();
    let wanted = vectors["audit_chain"]["records"][0]["line"].as_str().unwrap();
    let ts = |text: &str| text.split_once("\"replica\"").unwrap().1.trim_end().to_owned();
    assert_eq!(ts(&line), ts(wanted));
    assert_eq!(JtiDigest::of("WWTaBVrjHPjrcjDhkKUEiQ").as_str().len(), 16);
}

#[test]
fn the_written_chains_are_decided_as_listed() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap();
    let audit = &vectors["audit_chain"];
    let head: Head = audit["head"].as_str().unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let verify = |lines: Vec<&str>| {
        let file = folder.path().join("x.jsonl");
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        verify_files(&[file], Some(head))
    };
    let records = audit["records"].as_array().unwrap();
    for record in records {
        assert_eq!(Head::of(record["line"].as_str().unwrap().as_bytes()).to_string(), record["hash"].as_str().unwrap());
    }
    let good = verify(records.iter().map(|record| record["line"].as_str().unwrap()).collect()).unwrap();
    assert_eq!((good.lines, good.behind_head), (4, Some(0)));
    for tamper in audit["tamper"].as_array().unwrap() {
        let found = verify(tamper["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect());
        match tamper["expect"].as_str().unwrap() {
            "broken at record 3" => assert!(matches!(found, Err(VerifyError::Broken { line: 3, .. })), "{found:?}"),
            _ => assert!(matches!(found, Err(VerifyError::HeadMissing)), "{found:?}"),
        }
    }
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let second = Log::open(folder.path(), "gw-2", Limits::default(), Clock::System);
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    log.close().await;
    open(folder.path()).close().await;
}

#[tokio::test]
async fn a_torn_end_is_kept_aside_and_recorded_but_a_changed_line_refuses() {
    let folder = tempfile::tempdir().unwrap();
    for torn in [&b"{\"seq\":3,\"ts\":\"20"[..], b"\0\0\0\0\0\0\0\0\n\0\0\0", b"x"] {
        let log = open(folder.path());
        log.append(Record::login("local:ana")).await.unwrap();
        log.close().await;
        let last = files(folder.path()).pop().unwrap();
        let whole = fs::read(&last).unwrap();
        fs::write(&last, [&whole, torn].concat()).unwrap();
        open(folder.path()).close().await;
        verify_files(&files(folder.path()), None).unwrap();
        let newest = newest(folder.path(), Filter::default()).unwrap().next().unwrap().unwrap();
        assert!(newest.line.contains("\"audit.repaired\"") && newest.line.contains(&format!("{} bytes", torn.len())));
        let aside = folder.path().join(format!("torn-{:020}.part", newest.seq));
        assert_eq!(fs::read(aside).unwrap(), torn);
    }
    // The process ended between the cut and its record.
    let next = newest(folder.path(), Filter::default()).unwrap().next().unwrap().unwrap().seq + 1;
    fs::write(folder.path().join(format!("torn-{next:020}.part")), "abc").unwrap();
    open(folder.path()).close().await;
    open(folder.path()).close().await;
    let entries: Vec<Entry> = newest(folder.path(), Filter::default()).unwrap().map(Result::unwrap).collect();
    assert!(entries[0].seq == next && entries[0].line.contains("3 bytes"), "{entries:?}");
    let last = files(folder.path()).pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    fs::write(&last, text.replacen("local:ana", "local:eve", 1)).unwrap();
    let refused = Log::open(folder.path(), "gw-1", Limits::default(), Clock::System);
    assert!(matches!(refused, Err(OpenError::Broken { line: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn every_change_of_a_line_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for n in 0..5 {
        log.append(Record::login(&format!("local:user{n}"))).await.unwrap();
    }
    let head = log.state().head;
    log.close().await;
    let file = files(folder.path()).pop().unwrap();
    let good = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let line_of = |changed: &[&str]| {
        fs::write(&file, changed.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        match verify_files(std::slice::from_ref(&file), Some(head)) {
            Err(VerifyError::Broken { line, .. }) => Some(line),
            Err(VerifyError::HeadMissing) => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(line_of(&[lines[0], lines[2], lines[3], lines[4]]), Some(2), "removed");
    assert_eq!(line_of(&[lines[0], lines[2], lines[1], lines[3], lines[4]]), Some(2), "reordered");
    assert_eq!(line_of(&[lines[0], lines[1], lines[1], lines[2]]), Some(3), "inserted");
    assert_eq!(line_of(&[lines[0], &lines[1][..40], lines[2]]), Some(2), "cut");
    assert_eq!(line_of(&lines[..4]), None, "the end is missing");
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(verify_files(std::slice::from_ref(&file), Some(head)).is_err(), "byte {at}");
    }
    fs::write(&file, lines[1..].join("\n")).unwrap();
    assert_eq!(verify_files(&[file], Some(head)).unwrap().first, 2, "earlier segments were not given: said");
}

/// A disk in memory: what was flushed survives; writes, flushes and opens fail while `broken` says so.
#[derive(Clone, Default)]
struct Faulty {
    content: Arc<Mutex<Vec<u8>>>,
    broken: Arc<Mutex<&'static str>>,
    flushes: Arc<AtomicUsize>,
}

impl Faulty {
    fn fails(&self, call: &str) -> io::Result<()> {
        if *self.broken.lock().unwrap() == call { Err(io::Error::other("no space left on device")) } else { Ok(()) }
    }
}

impl Disk for Faulty {
    fn open(&self, _: &str) -> io::Result<Box<dyn Segment>> {
        self.fails("open")?;
        Ok(Box::new(self.clone()))
    }
}

impl Segment for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = bytes.len() / 2;
        let is_broken = self.fails("write");
        let written = if is_broken.is_err() { &bytes[..half] } else { bytes };
        self.content.lock().unwrap().extend_from_slice(written);
        is_broken
    }

    fn sync(&mut self) -> io::Result<()> {
        self.fails("sync")?;
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.fails("cut")?;
        self.content.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

fn faulty(disk: &Faulty) -> Log {
    let end = End { seq: 0, head: Head::START, segment: None };
    let writer = Writer::new(Box::new(disk.clone()), "gw-1".into(), Limits::default(), end);
    Log::start(writer, Clock::System, None).unwrap()
}

#[tokio::test]
async fn a_disk_that_fails_fails_every_append_until_it_works_and_leaves_no_trace() {
    let disk = Faulty::default();
    let log = faulty(&disk);
    log.append(Record::login("local:before")).await.unwrap();
    for call in ["write", "sync", "open", "cut"] {
        *disk.broken.lock().unwrap() = "sync";
        assert!(matches!(log.append(Record::login("local:lost")).await, Err(AppendError::Disk(_))));
        *disk.broken.lock().unwrap() = call;
        for _ in 0..3 {
            assert!(matches!(log.append(Record::login("local:lost")).await, Err(AppendError::Disk(_))), "{call}");
        }
        assert!(log.state().failing.unwrap().contains("no space"));
        *disk.broken.lock().unwrap() = "";
        log.append(Record::login("local:after")).await.unwrap();
        assert_eq!(log.state().failing, None);
    }
    log.close().await;
    let mut chain = Chain::default();
    let content = disk.content.lock().unwrap().clone();
    let text = String::from_utf8(content).unwrap();
    text.lines().for_each(|line| chain.next(line.as_bytes()).unwrap());
    assert_eq!(chain.last().unwrap().0, 5);
    assert!(!text.contains("local:lost"), "{text}");
}

#[tokio::test]
async fn many_appends_share_flushes() {
    let disk = Faulty::default();
    let log = Arc::new(faulty(&disk));
    let all = (0..2000).map(|n| {
        let log = Arc::clone(&log);
        async move { log.append(Record::login(&format!("local:user{n}"))).await }
    });
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(log.state().seq, 2000);
    let flushes = disk.flushes.load(Ordering::SeqCst);
    assert!(flushes < 500, "{flushes} flushes for 2000 records");
}
