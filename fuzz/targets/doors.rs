//! What must hold for whatever comes to an opening's parsers, signed or not. The first line says which of them.
//!
//! Whoever includes this file names the product's `delegation`, `openings`, `secret` and `clock` beside it.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::clock::Timestamp;
use super::delegation::{
    MasterKey, Policy, Purpose, SiteKey, Use, UsedTokens, Verifier, called, is_account, is_header_account,
    is_landing_path, mc_token, read_key_file, seal,
};
use super::openings::{is_number, is_state, view};
use super::secret::Secret;

const NOW: i64 = 1_767_225_602;
const STATE: &str = "pre-session-state-0001";

static KEYS: LazyLock<Vec<SiteKey>> = LazyLock::new(|| {
    let secret = Secret::new("6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a");
    let master = MasterKey::read("2026a", &secret).unwrap();
    Purpose::ALL.iter().map(|(_, purpose)| master.derive("madrid", *purpose).unwrap()).collect()
});

fn key(purpose: Purpose) -> &'static SiteKey {
    KEYS.iter().find(|key| key.purpose() == purpose).unwrap()
}

#[derive(Default)]
struct Memory(Mutex<HashSet<String>>);

impl UsedTokens for Memory {
    fn consume<'a>(&'a self, _: &'a str, jti: &'a str, _: u64, _: Timestamp) -> BoxFuture<'a, Use> {
        let is_first = self.0.lock().unwrap().insert(jti.to_owned());
        Box::pin(async move { if is_first { Use::First } else { Use::Replayed } })
    }
}

fn verifier() -> Verifier {
    let policy = Policy { allow: vec!["ops.reader".to_owned(), "ana".to_owned()], ..Policy::default() };
    Verifier::new("madrid", vec!["gateway".to_owned()], KEYS.clone(), policy)
}

/// Whatever is taken is what was agreed on, and it is taken once.
pub(super) fn opening(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (kind, text) = text.split_once('\n').unwrap_or((text, ""));
    match kind {
        "token" => token(text),
        "payload" => token(seal(key(Purpose::Token), "mc1", text.as_bytes()).expose()),
        "push" => push(text),
        "call" => push(seal(key(Purpose::Push), "mcp1", text.as_bytes()).expose()),
        "keys" => keys(text),
        "view" => names(text),
        "account" => account(text),
        "path" => path(text),
        "finish" => finish(text),
        "form" => form(text),
        _ => {}
    }
}

fn token(token: &str) {
    let (verifier, used, now) = (verifier(), Memory::default(), Timestamp::from_secs(NOW));
    let verify = || verifier.verify(token, Some(STATE), now, &used).now_or_never().unwrap();
    let Ok(opened) = verify() else { return };
    let claims = &opened.claims;
    assert!(["ops.reader", "ana"].contains(&claims.sub.as_str()) && claims.aud == "madrid" && claims.iss == "gateway");
    assert!(is_landing_path(&claims.dst) && claims.exp > claims.iat && claims.exp - claims.iat <= 120);
    assert!(verify().is_err(), "taken twice");
}

fn push(text: &str) {
    let (verifier, used, now) = (verifier(), Memory::default(), Timestamp::from_secs(NOW));
    for op in ["probe", "revoke"] {
        let call = || called(&verifier, &KEYS, text, op, now, &used).now_or_never().unwrap();
        let Ok(found) = call() else { continue };
        assert!(found.issuer == "gateway" && call().is_err(), "taken twice");
        assert!(op == "revoke" || (found.account.is_empty() && found.actor.is_empty()));
        let other = if op == "probe" { "revoke" } else { "probe" };
        assert!(called(&verifier, &KEYS, text, other, now, &Memory::default()).now_or_never().unwrap().is_err());
    }
}

fn keys(text: &str) {
    match read_key_file(text, "madrid") {
        Ok(keys) => {
            assert!(keys.iter().all(|key| key.site() == "madrid" && text.contains(key.text().expose())));
            for needed in [Purpose::Token, Purpose::Gate] {
                assert!(keys.iter().any(|key| key.purpose() == needed));
            }
        }
        Err(error) => {
            // A mistake is named, and no key is in what is said about it.
            let said = error.to_string();
            assert!(!said.is_empty());
            for word in text.split_whitespace().filter(|word| word.len() == 43) {
                assert!(!said.contains(word) || said.contains("site"), "{said}");
            }
        }
    }
}

fn names(text: &str) {
    if view(text).is_some() && !text.is_empty() && text != "home" {
        let (kind, id) = text.split_once(':').unwrap();
        assert!(["agent", "modules", "alerts", "events", "graphs"].contains(&kind));
        assert!((1..=64).contains(&id.len()) && !id.contains(['/', '\\', '.', '%', '&', ':', '?', '#', ' ']));
    }
}

fn account(text: &str) {
    if is_header_account(text) {
        assert!(is_account(text) && text.is_ascii());
    }
    if is_account(text) {
        use unicode_normalization::UnicodeNormalization as _;
        assert!((1..=128).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control));
        assert_eq!(text.nfc().collect::<String>(), text);
    }
}

fn path(text: &str) {
    if is_landing_path(text) {
        let home = url::Url::parse("https://madrid.example/pandora_console/mc.php?a=login").unwrap();
        assert_eq!(home.join(text).unwrap().origin(), home.origin(), "{text}");
    }
}

fn finish(text: &str) {
    for (_, value) in url::form_urlencoded::parse(text.as_bytes()) {
        if is_number(&value) || is_state(&value) {
            assert!(value.is_ascii() && !value.contains(['<', '"', '&', '.', '/', '%', ' ']));
            assert_ne!(is_number(&value), is_state(&value));
        }
    }
}

fn form(text: &str) {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    if let Ok(token) = mc_token("POST", &pairs) {
        assert!(pairs.len() == 1 && pairs[0].0 == "mc_token" && pairs[0].1 == token);
    }
    assert!(mc_token("GET", &pairs).is_err());
}
