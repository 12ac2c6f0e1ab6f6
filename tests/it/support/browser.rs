//! A browser at the gateway: keeps cookies, fills forms, follows nothing by itself.

use std::collections::BTreeMap;

use metaconsole::access::password::hash;
use metaconsole::secret::Secret;
use reqwest::header::SET_COOKIE;
use reqwest::{Client, RequestBuilder};

use super::gateway::Answer;

pub(crate) const SESSION: &str = "__Host-mc_session";

/// The hash of this user's password, which is `correct horse` and their login.
pub(crate) fn hashed(login: &str) -> String {
    hash(&Secret::new(format!("correct horse {login}"))).unwrap().expose().to_owned()
}

pub(crate) struct Browser {
    base: String,
    pub(crate) client: Client,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Where a proxy says that it is.
    pub(crate) address: Option<&'static str>,
}

impl Browser {
    /// At the gateway whose addresses begin so.
    pub(crate) fn new(base: &str) -> Self {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: base.to_owned(), client, cookies: BTreeMap::new(), address: None }
    }

    pub(crate) async fn logged_in(base: &str, login: &str) -> Self {
        let mut browser = Self::new(base);
        let answer = browser.log_in(login, &format!("correct horse {login}"), "").await;
        assert_eq!(answer.status, 303, "{answer:?}");
        browser
    }

    pub(crate) async fn login_form(&mut self) -> String {
        let page = self.get("/login").await;
        between(&page.text, "name=\"form\" value=\"", "\"").to_owned()
    }

    pub(crate) async fn log_in(&mut self, login: &str, password: &str, next: &str) -> Answer {
        let form = self.login_form().await;
        self.post("/login", &[("form", &form), ("login", login), ("password", password), ("next", next)]).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base));
        self.send(request).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("sec-fetch-site", "same-origin").form(form)).await
    }

    /// The session that it is logged in with, as openings name it.
    pub(crate) fn session(&self) -> String {
        use base64::Engine as _;
        let payload = self.cookies["__Host-mc_session"].split('.').nth(1).unwrap();
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        metaconsole::access::secrets::digest(claims["sid"].as_str().unwrap())
    }

    pub(crate) fn cookie_line(&self) -> String {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        cookies.join("; ")
    }

    pub(crate) async fn send(&mut self, mut request: RequestBuilder) -> Answer {
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookie_line());
        }
        if let Some(address) = self.address {
            request = request.header("x-forwarded-for", address);
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        for set in answer.headers.get_all(SET_COOKIE.as_str()) {
            let set = set.to_str().unwrap();
            assert!(set.starts_with("__Host-") && set.contains("; Secure; HttpOnly; Path=/; SameSite="), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// What stands between two texts.
pub(crate) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}
