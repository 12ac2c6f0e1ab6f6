//! Tokens for attacks: well made ones, altered ones, and payloads of any kind with a code that holds.

use hmac::{Hmac, KeyInit as _, Mac as _};
use metaconsole::clock::Timestamp;
use metaconsole::delegation::{Amr, MasterKey, NewToken, Purpose, SiteKey, mint, random_number};
use metaconsole::openings::{Granted, Openings, Wanted};
use metaconsole::secret::Secret;
use sha2::{Digest as _, Sha256};

/// How many of something to try: as many in every run, or what the environment says.
pub(crate) fn count(variable: &str, usual: usize) -> usize {
    std::env::var_os(variable).map_or(usual, |count| count.into_string().unwrap().parse().unwrap())
}

/// The browser's state that all these tokens are bound to.
pub(crate) const STATE: &str = "state-of-the-browser-of-attacks-0123456789a";

/// A small generator, so that a failure can be repeated.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    pub(crate) fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.next(texts.len())]
    }
}

/// A master key's site keys.
pub(crate) struct Keys(MasterKey);

impl Keys {
    /// Of the text that `keys generate` wrote.
    pub(crate) fn read(kid: &str, master: &str) -> Self {
        Self(MasterKey::read(kid, &Secret::new(master.trim())).unwrap())
    }

    pub(crate) fn of(&self, site: &str, purpose: Purpose) -> SiteKey {
        self.0.derive(site, purpose).unwrap()
    }

    /// A good token for a site.
    pub(crate) fn token(&self, site: &str, account: &str, path: &str, at: Timestamp) -> String {
        made(&self.of(site, Purpose::Token), account, path, at)
    }

    /// A good token for a site, written down by the gateway as of this session, as every one that it signs.
    pub(crate) fn issued(&self, openings: &Openings, site: &str, session: &str, path: &str) -> String {
        let (login, account, view) = ("local:ana".to_owned(), "ops.reader".to_owned(), String::new());
        let granted = Granted {
            gateway: "gateway".to_owned(),
            key: self.of(site, Purpose::Token),
            wanted: Wanted { login: login.clone(), site: site.parse().unwrap(), account, view },
            session: session.to_owned(),
            actor: login,
            amr: Amr::Pwd,
            path: path.to_owned(),
            state: metaconsole::delegation::state_hash(STATE),
        };
        openings.issue(&granted).unwrap().expose().to_owned()
    }

    /// `Authorization` of the site's verifier.
    pub(crate) fn bearer(&self, site: &str) -> String {
        format!("Bearer {}", self.of(site, Purpose::Verify).bearer().unwrap().expose())
    }

    /// Any payload, with a code that holds.
    pub(crate) fn signed(&self, site: &str, payload: &str) -> String {
        let key = self.of(site, Purpose::Token);
        let signed = format!("mc1.{}.{}", key.kid(), base64url(payload.as_bytes()));
        format!("{signed}.{}", code(&key, &signed))
    }

    /// Each key under which nothing may open this site.
    pub(crate) fn foreign(&self, site: &str) -> Vec<SiteKey> {
        let mut keys: Vec<SiteKey> = ["lyon", "bilbao"].iter().map(|other| self.of(other, Purpose::Token)).collect();
        keys.extend([Purpose::Verify, Purpose::Gate, Purpose::Push].map(|purpose| self.of(site, purpose)));
        keys
    }
}

fn made(key: &SiteKey, account: &str, path: &str, at: Timestamp) -> String {
    let state = metaconsole::delegation::state_hash(STATE);
    let new = NewToken { gateway: "gateway", account, actor: "local:ana", amr: Amr::Pwd, path, state: &state };
    mint(key, &new, &random_number().unwrap(), at).unwrap().expose().to_owned()
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn unbase64url(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn code(key: &SiteKey, signed: &str) -> String {
    let hex = key.hex();
    let pairs = hex.expose().as_bytes().chunks(2);
    let bytes: Vec<u8> = pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect();
    let mac = Hmac::<Sha256>::new_from_slice(&bytes).unwrap().chain_update(signed.as_bytes());
    base64url(&mac.finalize().into_bytes())
}

/// One of these tokens with something wrong: bits, cuts, splices, foreign codes, edited payloads, other members.
pub(crate) fn altered(tokens: &[String], foreign: &[SiteKey], draw: &mut Draw) -> String {
    loop {
        let token = alter(tokens, foreign, draw);
        if let Ok(token) = String::from_utf8(token)
            && !tokens.contains(&token)
        {
            return token;
        }
    }
}

fn alter(tokens: &[String], foreign: &[SiteKey], draw: &mut Draw) -> Vec<u8> {
    let (whole, other) = (&tokens[draw.next(tokens.len())], &tokens[draw.next(tokens.len())]);
    let mut token = whole.clone().into_bytes();
    let at = draw.next(token.len());
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    match draw.next(11) {
        0 => token[at] ^= 1 << draw.next(7),
        1 => token.truncate(at),
        2 => drop(token.remove(at)),
        3 => token.insert(at, b"Aa0-_.=+/ \n\0&%"[draw.next(14)]),
        4 => token[at] = b"ABCabc019-_."[draw.next(12)],
        5 => {
            token.truncate(at);
            token.extend_from_slice(&other.as_bytes()[draw.next(other.len())..]);
        }
        6 => return [parts(whole)[..3].join("."), parts(other)[3].clone()].join(".").into_bytes(),
        7 => {
            let part = parts(whole);
            let mut payload = unbase64url(&part[2]);
            let place = draw.next(payload.len());
            payload[place] = payload[place].wrapping_add(1 + u8::try_from(draw.next(254)).unwrap());
            return format!("mc1.{}.{}.{}", part[1], base64url(&payload), part[3]).into_bytes();
        }
        8 => {
            // Whole and well signed, but under a key that is not this site's for tokens.
            let (signed, _) = whole.rsplit_once('.').unwrap();
            return format!("{signed}.{}", code(&foreign[draw.next(foreign.len())], signed)).into_bytes();
        }
        9 => {
            // What somebody would want to say, under the old code, a plain hash, or no key.
            let part = parts(whole);
            let said = String::from_utf8(unbase64url(&part[2])).unwrap();
            let (from, to) =
                [("ops.reader", "admin"), ("\"exp\":1", "\"exp\":9"), ("\"dst\":\"/", "\"dst\":\"//e/")][draw.next(3)];
            let signed = format!("mc1.{}.{}", part[1], base64url(said.replace(from, to).as_bytes()));
            let code =
                [part[3].clone(), base64url(&Sha256::digest(signed.as_bytes())), String::new()][draw.next(3)].clone();
            return format!("{signed}.{code}").into_bytes();
        }
        _ => {
            token.truncate(token.len() - 43);
            let length = [32, 31, 33, 0][draw.next(4)];
            let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(draw.next(256)).unwrap()).collect();
            token.extend_from_slice(base64url(&bytes).as_bytes());
        }
    }
    token
}
