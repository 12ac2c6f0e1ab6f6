//! Every written vector, a million altered tokens, foreign keys, and races for one number.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::*;
use crate::clock::Timestamp;
use crate::secret::Secret;

const SITE: &str = "site-madrid";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/delegation.json")).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} of {value}"))
}

fn master(kid: &str, hex: &str) -> MasterKey {
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    MasterKey::unchecked(kid, &bytes).unwrap()
}

fn masters() -> Vec<MasterKey> {
    let vectors = vectors();
    vectors["masters"].as_object().unwrap().iter().map(|(kid, hex)| master(kid, hex.as_str().unwrap())).collect()
}

fn verifier(accounts: &[&str]) -> Verifier {
    let active = masters().into_iter().filter(|key| key.kid() != "2025z");
    let keys = active.map(|key| key.derive(SITE, Purpose::Token).unwrap()).collect();
    let allow = accounts.iter().map(|&account| account.to_owned()).collect();
    Verifier::new(SITE, vec!["mc-hq".into()], keys, Policy { allow, ..Policy::default() })
}

/// In memory, for tests of everything else.
#[derive(Default)]
struct Memory(Mutex<HashSet<String>>);

impl UsedTokens for Memory {
    fn consume<'a>(&'a self, _: &'a str, jti: &'a str, _: u64, _: Timestamp) -> BoxFuture<'a, Use> {
        let is_first = self.0.lock().unwrap().insert(jti.to_owned());
        Box::pin(async move { if is_first { Use::First } else { Use::Replayed } })
    }
}

struct Down;

impl UsedTokens for Down {
    fn consume<'a>(&'a self, _: &'a str, _: &'a str, _: u64, _: Timestamp) -> BoxFuture<'a, Use> {
        Box::pin(async { Use::Unavailable })
    }
}

fn now(vector: &Value) -> Timestamp {
    Timestamp::from_secs(vector["now"].as_i64().unwrap())
}

#[test]
fn keys_are_derived_as_listed() {
    let (vectors, masters) = (vectors(), masters());
    for row in vectors["site_keys"].as_array().unwrap() {
        let Some((_, purpose)) = Purpose::ALL.into_iter().find(|(word, _)| *word == text(row, "purpose")) else {
            continue;
        };
        let key = masters.iter().find(|key| key.kid() == text(row, "kid")).unwrap();
        assert_eq!(key.derive(text(row, "site"), purpose).unwrap().hex().expose(), text(row, "key_hex"));
    }
    for (kid, hex) in vectors["masters"].as_object().unwrap() {
        let read = MasterKey::read(kid, &Secret::new(hex.as_str().unwrap()));
        assert_eq!(read.map(|_| ()), Err(KeyError::Published));
    }
}

#[tokio::test]
async fn every_good_vector_is_accepted_and_made_again() {
    let vectors = vectors();
    let all: Vec<&str> =
        vectors["positive"].as_array().unwrap().iter().map(|vector| text(&vector["fields"], "sub")).collect();
    let (verifier, used) = (verifier(&all), Memory::default());
    for vector in vectors["positive"].as_array().unwrap() {
        let state = text(vector, "presession_state");
        let token = text(vector, "token");
        let opened = verifier
            .verify(token, Some(state), now(vector), &used)
            .await
            .unwrap_or_else(|refusal| panic!("{vector}: {refusal:?}"));
        assert_eq!(
            (opened.claims.sub.as_str(), opened.kid.as_str()),
            (text(&vector["expect"], "sub"), text(vector, "kid"))
        );
        assert_eq!(opened.claims.dst, text(&vector["expect"], "dst"));
        let claims = &opened.claims;
        if claims.exp - claims.iat != 60 {
            continue;
        }
        let key = masters().iter().find(|key| key.kid() == opened.kid).unwrap().derive(SITE, Purpose::Token).unwrap();
        let new = NewToken {
            gateway: &claims.iss,
            account: &claims.sub,
            actor: &claims.act,
            amr: claims.amr,
            path: &claims.dst,
            state: &state_hash(state),
        };
        let made = mint(&key, &new, &claims.jti, Timestamp::from_secs(i64::try_from(claims.iat).unwrap())).unwrap();
        assert_eq!(made.expose(), token);
    }
}

#[tokio::test]
async fn every_bad_vector_is_refused_for_its_reason() {
    let vectors = vectors();
    let verifier = verifier(&["ops.reader"]);
    let positive = vectors["positive"].as_array().unwrap();
    for vector in vectors["negative"].as_array().unwrap() {
        let used = Memory::default();
        let (token, state) = (text(vector, "token"), vector["presession_state"].as_str());
        if let Some(first) = vector["first"].as_str() {
            let state = vector["first_presession_state"].as_str().or(state);
            let _ = verifier.verify(first, state, now(vector), &used).await;
        }
        for earlier in vector["sequence"].as_array().into_iter().flatten() {
            let Some(earlier) = positive.iter().find(|other| other["id"] == *earlier) else { continue };
            verifier
                .verify(text(earlier, "token"), earlier["presession_state"].as_str(), now(earlier), &used)
                .await
                .unwrap();
        }
        let body = vector["form_body"].as_str().map_or_else(
            || vec![("mc_token".to_owned(), token.to_owned())],
            |body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect(),
        );
        let decided = match mc_token(vector["method"].as_str().unwrap_or("POST"), &body) {
            Ok(token) => verifier.verify(token, state, now(vector), &used).await.map(|_| ()),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(
            decided.unwrap_err().as_str(),
            text(&vector["expect"], "error"),
            "{} {}",
            vector["id"],
            vector["desc"]
        );
    }
}

#[tokio::test]
async fn the_site_decides_and_a_store_that_is_down_refuses() {
    let vectors = vectors();
    let (first, state) = (&vectors["positive"][0], vectors["positive"][0]["presession_state"].as_str());
    let verify = async |verifier: Verifier, used: &dyn UsedTokens| {
        verifier.verify(text(first, "token"), state, now(first), used).await.map(|_| ()).unwrap_err()
    };
    assert_eq!(verify(verifier(&[]), &Memory::default()).await, Refusal::NotAllowed);
    assert_eq!(verify(verifier(&["Ops.reader"]), &Memory::default()).await, Refusal::NotAllowed);
    assert_eq!(verify(verifier(&["ops.reader"]), &Down).await, Refusal::StoreUnavailable);
    let mut strict = verifier(&["ops.reader"]);
    strict.policy.needs_mfa = true;
    assert_eq!(verify(strict, &Memory::default()).await, Refusal::LoginTooWeak);
}

/// A small generator, so that a failure can be repeated.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

fn altered(tokens: &[Vec<u8>], foreign: &[SiteKey], draw: &mut Draw) -> Vec<u8> {
    let mut token = tokens[draw.next(tokens.len())].clone();
    let other = &tokens[draw.next(tokens.len())];
    let at = draw.next(token.len());
    match draw.next(10) {
        0 => token[at] ^= 1 << draw.next(7),
        1 => token.truncate(at),
        2 => drop(token.remove(at)),
        3 => token.insert(at, b"Aa0-_.=+/ \n\0"[draw.next(12)]),
        4 => token[at] = b"ABCabc019-_."[draw.next(12)],
        5 => {
            token.truncate(at);
            token.extend_from_slice(&other[draw.next(other.len())..]);
        }
        6 => {
            // Parts of several tokens, each whole.
            let part = |token: &[u8], at: usize| token.split(|byte| *byte == b'.').nth(at).unwrap().to_vec();
            let third = tokens[draw.next(tokens.len())].clone();
            token = [b"mc1".to_vec(), part(&token, 1), part(other, 2), part(&third, 3)].join(&b'.');
        }
        7 => {
            // Another account, signed with nothing, with the old code.
            let parts: Vec<&str> = std::str::from_utf8(&token).unwrap().split('.').collect();
            let mut payload = base64url::decode(parts[2]).unwrap();
            let place = draw.next(payload.len());
            payload[place] = payload[place].wrapping_add(1 + u8::try_from(draw.next(254)).unwrap());
            token = format!("mc1.{}.{}.{}", parts[1], base64url::encode(&payload), parts[3]).into_bytes();
        }
        8 => {
            // Whole and well signed, but under a key that is not this site's for tokens.
            let (signed, _) = std::str::from_utf8(&token).unwrap().rsplit_once('.').unwrap();
            let key = &foreign[draw.next(foreign.len())];
            token = format!("{signed}.{}", base64url::encode(&key.code(signed.as_bytes()))).into_bytes();
        }
        _ => {
            // A code of another length or out of nothing.
            let kept = token.len() - 43;
            token.truncate(kept);
            let bytes: Vec<u8> =
                (0..[32, 31, 33, 0][draw.next(4)]).map(|_| u8::try_from(draw.next(256)).unwrap()).collect();
            token.extend_from_slice(base64url::encode(&bytes).as_bytes());
        }
    }
    token
}

/// `METACONSOLE_TOKENS=1000000` draws a million.
#[tokio::test]
async fn no_altered_token_is_accepted() {
    let vectors = vectors();
    let positive = vectors["positive"].as_array().unwrap();
    let accounts: Vec<&str> = positive.iter().map(|vector| text(&vector["fields"], "sub")).collect();
    let verifier = verifier(&accounts);
    let good: HashSet<Vec<u8>> = positive.iter().map(|vector| text(vector, "token").as_bytes().to_vec()).collect();
    let mut tokens: Vec<Vec<u8>> = good.iter().cloned().collect();
    tokens.sort();
    let count =
        std::env::var_os("METACONSOLE_TOKENS").map_or(100_000, |count| count.into_string().unwrap().parse().unwrap());
    let of = |site: &str, purpose| masters().iter().map(|key| key.derive(site, purpose).unwrap()).collect::<Vec<_>>();
    let mut foreign = of("site-bilbao", Purpose::Token);
    foreign.extend(of(SITE, Purpose::Verify));
    foreign.extend(of(SITE, Purpose::Gate));
    foreign.extend(of(SITE, Purpose::Push));
    let (mut draw, mut tried) = (Draw(7), 0);
    let at = Timestamp::from_secs(1_767_225_602);
    while tried < count {
        let token = altered(&tokens, &foreign, &mut draw);
        let Ok(token) = String::from_utf8(token) else { continue };
        if good.contains(token.as_bytes()) {
            continue;
        }
        tried += 1;
        let decided = verifier.verify(&token, Some("pre-session-state-0001"), at, &Memory::default()).await;
        assert!(decided.is_err(), "{token}");
    }
}

#[tokio::test]
async fn a_key_of_one_site_opens_no_other() {
    let sites: Vec<String> = (0..20).map(|n| format!("site-{n}")).collect();
    let master = masters().remove(0);
    let state = state_hash("browser");
    let at = Timestamp::from_secs(1_767_225_602);
    let mut refused = 0;
    for (from, site) in sites.iter().enumerate() {
        for (to, own) in sites.iter().enumerate() {
            let new = NewToken {
                gateway: "mc-hq",
                account: "ops.reader",
                actor: "local:ana",
                amr: Amr::Pwd,
                path: "/",
                state: &state,
            };
            let token =
                mint(&master.derive(site, Purpose::Token).unwrap(), &new, &random_number().unwrap(), at).unwrap();
            let keys = Purpose::ALL.map(|(_, purpose)| master.derive(own, purpose).unwrap()).to_vec();
            let policy = Policy { allow: vec!["ops.reader".into()], ..Policy::default() };
            let verifier = Verifier::new(own, vec!["mc-hq".into()], keys, policy);
            let decided = verifier.verify(token.expose(), Some("browser"), at, &Memory::default()).await;
            assert_eq!(decided.is_ok(), from == to, "{site} at {own}");
            refused += usize::from(decided == Err(Refusal::BadMac));
        }
    }
    assert_eq!(refused, 380);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(token in ".{0,200}", payload in "\\PC{0,200}", bytes in proptest::collection::vec(0u8.., 0..200)) {
        let verifier = verifier(&["ops.reader"]);
        proptest::prop_assert!(verifier.signed(&token).is_err());
        let signed = format!("mc1.2026a.{payload}.{}", base64url::encode(&[7; 32]));
        proptest::prop_assert!(verifier.signed(&signed).is_err());
        let _ = claims::Claims::read(payload.as_bytes());
        let _ = claims::Claims::read(&bytes);
    }
}

#[test]
fn pandora_hashes_are_decided_as_listed() {
    let vectors = vectors();
    let pandora = &vectors["pandora_loginhash"];
    let mut seen = 0;
    for list in ["positive", "negative", "weakness"] {
        for vector in pandora[list].as_array().unwrap() {
            seen += 1;
            let made = pandora_login(text(vector, "account"), &Secret::new(text(vector, "secret")));
            let is_as_written = made.as_ref().is_ok_and(|login| {
                login.user == text(vector, "wire_user") && login.data.expose() == text(vector, "wire_data")
            });
            match text(vector, "gateway") {
                "emit" => assert!(is_as_written, "{}", vector["id"]),
                "refuse" => assert!(made.is_err(), "{}", vector["id"]),
                _ => assert!(!is_as_written, "{}", vector["id"]),
            }
        }
    }
    assert_eq!(seen, 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_ten_thousand_numbers_is_first_once_of_eight_and_after_a_restart_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("used.redb");
    let store = Arc::new(Embedded::open(&path).unwrap());
    assert!(Embedded::open(&path).is_err(), "two writers");
    let at = Timestamp::from_secs(1_767_225_602);
    let tasks = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let all = (0..10_000).map(|n| {
                let store = Arc::clone(&store);
                async move { store.consume(SITE, &format!("number-{n}"), 1_767_225_662, at).await }
            });
            let uses = futures_util::future::join_all(all).await;
            assert!(!uses.contains(&Use::Unavailable));
            uses.into_iter().filter(|found| *found == Use::First).count()
        })
    });
    let firsts: usize = futures_util::future::join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(firsts, 10_000);
    Arc::into_inner(store).unwrap().close().await;
    let store = Embedded::open(&path).unwrap();
    let again = (0..10_000).map(|n| {
        let store = &store;
        async move { store.consume(SITE, &format!("number-{n}"), 1_767_225_662, at).await }
    });
    assert!(futures_util::future::join_all(again).await.iter().all(|found| *found == Use::Replayed));
    // A clock that jumped forward lets old numbers be forgotten; when it is back, they still count as used.
    for n in 0..20 {
        assert_eq!(
            store.consume(SITE, &format!("later-{n}"), 1_767_399_000, Timestamp::from_secs(1_767_398_950)).await,
            Use::First
        );
    }
    for n in 0..50 {
        assert_eq!(store.consume(SITE, &format!("number-{n}"), 1_767_225_662, at).await, Use::Replayed);
    }
    store.close().await;
}
