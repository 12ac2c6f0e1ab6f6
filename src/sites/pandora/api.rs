//! Requests to `include/api.php`: how arguments and credentials travel.
//!
//! With a token every read is a GET that begins `op=get&op2=NAME`, so that a proxy of the site can allow exactly
//! those (`integrations/pandora/`); the token is in the `Authorization` header. With a password everything is a
//! form in the body of a POST. `op` is always `get`: this adapter cannot write.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;

use super::answer::{self, Login, Sentence};
use crate::clock::Deadline;
use crate::config::Credentials;
use crate::domain::{ErrorCode, SiteError};
use crate::sites::http::{Answer, Http, Method, Request};

/// Path of the API below the console's root.
pub(super) const PATH: &str = "include/api.php";

/// An answer that is no inventory is shorter than this; it is decoded where it is.
const SMALL: usize = 4 * 1024 * 1024;

/// The version is shorter than this.
const LINE: usize = 64 * 1024;

/// The console's API with our credentials.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: Http,
    credentials: Credentials,
    headers: HeaderMap,
}

/// One operation with its arguments, in the order in which they are sent.
#[derive(Clone, Debug)]
pub(super) struct Op<'a> {
    name: &'a str,
    arguments: Vec<(&'a str, &'a str)>,
}

impl<'a> Op<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, arguments: Vec::new() }
    }

    pub(super) fn json(self) -> Self {
        self.with("return_type", "json")
    }

    pub(super) fn id(self, id: &'a str) -> Self {
        self.with("id", id)
    }

    /// A list in `other`, already joined with `|`. No item may hold that character.
    pub(super) fn other(self, list: &'a str) -> Self {
        self.with("other", list).with("other_mode", "url_encode_separator_|")
    }

    fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.arguments.push((name, value));
        self
    }
}

/// What a small question was answered with.
#[derive(Debug)]
pub(super) enum Reply<T> {
    /// What was asked for.
    Value(T),
    /// One of the console's sentences, other than a refusal of the login.
    Sentence(Sentence),
    /// Status 500 with nothing: no hits, a bad argument or a crash; only the caller can tell.
    Empty500,
}

impl<T> Reply<T> {
    /// The value, or the error that any other answer is to this question.
    pub(super) fn value(self, login: Login, host: &str) -> Result<T, SiteError> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Sentence(sentence) => Err(answer::of_sentence(sentence, login, host)),
            Self::Empty500 => Err(answer::unexpected(500, "", b"", login, host)),
        }
    }
}

impl Api {
    pub(super) fn new(http: Http, credentials: Credentials) -> Result<Self, SiteError> {
        let mut headers = HeaderMap::new();
        if let Credentials::Token(token) = &credentials {
            let text = format!("Bearer {}", token.expose());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| SiteError::new(ErrorCode::Auth, "the token has characters that no header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { http, credentials, headers })
    }

    pub(super) fn login(&self) -> Login {
        match self.credentials {
            Credentials::Token(_) => Login::Token,
            Credentials::Password { .. } => Login::Password,
        }
    }

    /// Sends an operation; the answer's body has not been read.
    pub(super) async fn send(&self, root: usize, op: &Op<'_>, deadline: Deadline) -> Result<Answer, SiteError> {
        let mut arguments = vec![("op", "get"), ("op2", op.name)];
        arguments.extend(op.arguments.iter().copied());
        let method = match &self.credentials {
            Credentials::Token(_) => Method::Get,
            Credentials::Password { user, password, api_password } => {
                arguments.push(("user", user));
                arguments.push(("pass", password.expose()));
                arguments.extend(api_password.as_ref().map(|secret| ("apipass", secret.expose())));
                Method::Post
            }
        };
        let request = Request { path: PATH, method, arguments: &arguments, headers: &self.headers };
        self.http.send(root, request, deadline).await
    }

    /// Sends an operation that is answered with many rows, which have not been read. Rows come with status 200 only.
    pub(super) async fn rows(&self, root: usize, op: &Op<'_>, deadline: Deadline) -> Result<Answer, SiteError> {
        let mut answer = self.send(root, op, deadline).await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        // What a page says beyond its beginning does not matter.
        let mut begin = Vec::new();
        while begin.len() < LINE
            && let Some(chunk) = answer.chunk().await?
        {
            begin.extend_from_slice(&chunk);
        }
        Err(answer::unexpected(answer.status, &answer.content_type, &begin, self.login(), &answer.host))
    }

    /// The console's version, which it tells without a login, and the answer's head.
    pub(super) async fn version(&self, root: usize, deadline: Deadline) -> Result<(String, Answer), SiteError> {
        let request =
            Request { path: PATH, method: Method::Get, arguments: &[("info", "version")], headers: &HeaderMap::new() };
        let mut answer = self.http.send(root, request, deadline).await?;
        let body = answer.small(LINE).await?;
        let text = String::from_utf8_lossy(&body);
        // `Pandora FMS v7.0NG.776 - PC240328 MR64`; later products keep the shape with another name.
        let version = text.trim().strip_prefix("Pandora").map(|rest| rest.trim_start_matches(" FMS").trim());
        match version.filter(|rest| rest.len() < 100 && answer.status == 200) {
            Some(version) => Ok((version.to_owned(), answer)),
            None => Err(answer::unexpected(answer.status, &answer.content_type, &body, self.login(), &answer.host)),
        }
    }

    /// Asks for a JSON answer of moderate size.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        root: usize,
        op: Op<'_>,
        deadline: Deadline,
    ) -> Result<Reply<T>, SiteError> {
        let op = op.json();
        self.small(root, &op, deadline, |body| serde_json::from_slice(body).ok()).await
    }

    /// Asks for a text; `understand` says whether it is one.
    pub(super) async fn small<T>(
        &self,
        root: usize,
        op: &Op<'_>,
        deadline: Deadline,
        understand: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Reply<T>, SiteError> {
        let mut answer = self.send(root, op, deadline).await?;
        let body = answer.small(SMALL).await?;
        if answer.status == 500 && body.trim_ascii().is_empty() {
            return Ok(Reply::Empty500);
        }
        match answer::sentence(&body) {
            Some(Sentence::Auth) => {
                return Err(answer::of_sentence(Sentence::Auth, self.login(), &answer.host));
            }
            Some(sentence) => return Ok(Reply::Sentence(sentence)),
            None => {}
        }
        let understood = if answer.status == 200 { understand(&body) } else { None };
        understood
            .map(Reply::Value)
            .ok_or_else(|| answer::unexpected(answer.status, &answer.content_type, &body, self.login(), &answer.host))
    }
}
