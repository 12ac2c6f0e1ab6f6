//! Values that must never be shown: they have types that cannot print themselves. What passes as a plain text anyway is
//! masked where it would be written ([`masked`]).

use std::fmt;

use url::Url;

/// A token, password or key. `Debug` and `Display` show `***`; there is no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the plain value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The plain value, for the one place that sends it. Never format what this returns.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL that may carry a user and a password (an egress proxy's). Shown without them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Takes a parsed URL.
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, credentials included. Never format what this returns.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or("");
        write!(f, "{}://{host}", self.0.scheme())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Starts of things that are never written: our tokens and bearers, Pandora's login hash, JWTs, password hashes.
const STARTS: &[&str] = &["mc1.", "mcv1.", "loginhash", "eyJ", "$argon2", "mc_token="];

/// The text with `***` instead of everything that looks like a credential, up to the next blank or quote.
pub fn masked(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = STARTS.iter().filter_map(|start| rest.find(start)).min() {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        out.push_str("***");
        // A backslash may belong to a quote behind it, in JSON.
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ';' | '\\');
        rest = from.split_at(from.find(ends).unwrap_or(from.len())).1;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        let url = SecretUrl::new(Url::parse("socks5://ana:hunter2@proxy:1080/x?y=z").unwrap());
        assert_eq!(format!("{url} {url:?}"), "socks5://proxy:1080 socks5://proxy:1080");
    }

    #[test]
    fn what_looks_like_a_credential_is_masked_and_json_stays_json() {
        let line = "{\"path\":\"x \\\"loginhash_data=6f40\\\" mc1.a.b.c\",\"n\":1}";
        assert_eq!(masked(line), "{\"path\":\"x \\\"***\\\" ***\",\"n\":1}");
        assert_eq!(masked("login of ana"), "login of ana");
    }
}
