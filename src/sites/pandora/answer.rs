//! What a console's answer is, judged by its content: consoles send status 200 for most errors, and one sentence
//! for many causes. What a site sends is never repeated to a person, only what we make of it.

use serde::Deserialize;

use crate::domain::{ErrorCode, SiteError};

/// Answers of a console that mean something else than rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// The login failed, for any of many causes.
    Auth,
    /// The account may not do this.
    NoPermission,
    /// No such agent or module.
    UnknownId,
    /// This console has no such operation.
    UnknownOperation,
    /// The arguments did not arrive.
    NoOperation,
    /// There is nothing.
    Nothing,
}

/// The sentences, as consoles 7.0NG.772 and 776 were heard to say them.
const SENTENCES: &[(&str, Sentence)] = &[
    ("auth error", Sentence::Auth),
    ("The user has not enough permissions for perform this action.", Sentence::NoPermission),
    ("The Id does not exist in database.", Sentence::UnknownId),
    ("This operation does not exist.", Sentence::UnknownOperation),
    ("Not `set`, `get` or `help` operation selected.", Sentence::NoOperation),
    ("No agents retrieved.", Sentence::Nothing),
    ("No groups retrieved.", Sentence::Nothing),
    ("Planned downtime was not retrieved", Sentence::Nothing),
];

/// How our account presents itself, for the causes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// By `Authorization: Bearer`.
    Token,
    /// By user, password and API password.
    Password,
}

/// The console's sentences are shorter than this, JSON around them included.
const LONGEST_SENTENCE: usize = 1024;

/// A sentence as JSON.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: std::borrow::Cow<'a, str>,
}

/// The sentence in a whole text, plain or in its JSON form.
pub(super) fn sentence(text: &[u8]) -> Option<Sentence> {
    if text.len() > LONGEST_SENTENCE {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim_start_matches('\u{feff}').trim();
    let known = |text: &str| SENTENCES.iter().find(|(known, _)| *known == text.trim()).map(|(_, sentence)| *sentence);
    known(text).or_else(|| known(&serde_json::from_str::<Envelope<'_>>(text).ok()?.data))
}

/// A sentence as an error, where it is none of what was asked for.
pub(super) fn of_sentence(sentence: Sentence, login: Login, host: &str) -> SiteError {
    match sentence {
        Sentence::Auth => auth_error(login, host),
        Sentence::NoPermission => {
            SiteError::new(ErrorCode::Forbidden, format!("{host}: the account may not read this"))
                .remedy("give it a profile with `agent view` on the groups it is to see")
        }
        Sentence::UnknownId => SiteError::new(ErrorCode::BadAnswer, format!("{host} knows no such id (any more)"))
            .remedy("it may just have been deleted: ask again"),
        Sentence::UnknownOperation => {
            SiteError::new(ErrorCode::BadAnswer, format!("{host}: this console does not know the operation"))
                .remedy("consoles from 7.0NG.772 on were seen to work; update an older one")
        }
        Sentence::NoOperation => {
            SiteError::new(ErrorCode::BadAnswer, format!("{host}: our arguments did not reach the console"))
                .remedy("look at rewrite rules of the proxy in front: query string and body must pass unchanged")
        }
        Sentence::Nothing => SiteError::new(ErrorCode::BadAnswer, format!("{host} answers that there is nothing"))
            .remedy("look whether the account may see anything"),
    }
}

/// `auth error`: one sentence, after 15 seconds, for every cause. The remedy names them all, commonest first.
fn auth_error(login: Login, host: &str) -> SiteError {
    let of_login = match login {
        Login::Token => {
            "the token is wrong or was made anew; a proxy in front drops the `Authorization` header \
             (then user, password and api_password still work)"
        }
        Login::Password => {
            "user or password is wrong, or the user's id has other than ASCII letters; \
             `api_password` is not the one under Setup > General setup > API password"
        }
    };
    SiteError::new(ErrorCode::Auth, format!("{host} answers `auth error`")).remedy(format!(
        "the console says so for any of these: our address is not in its list of allowed addresses (Setup > General \
         setup > IP list with API access; behind a reverse proxy it sees the proxy's address); {of_login}; the \
         account is disabled or blocked, or has no profile"
    ))
}

/// Any answer that is neither what was asked for nor a known sentence.
pub(super) fn unexpected(status: u16, content_type: &str, text: &[u8], login: Login, host: &str) -> SiteError {
    if let Some(sentence) = sentence(text) {
        return of_sentence(sentence, login, host);
    }
    let head = text.get(..8192).unwrap_or(text);
    let begin = String::from_utf8_lossy(head).to_lowercase();
    let bad = |message: String| SiteError::new(ErrorCode::BadAnswer, message);
    let html = content_type.starts_with("text/html") && begin.contains('<') || begin.contains("<html");
    match status {
        407 => SiteError::new(ErrorCode::Auth, format!("the proxy on the way to {host} asks for a login (407)"))
            .remedy("write the proxy's whole URL, with user and password, as `proxy: \"${NAME}\"`"),
        401 => SiteError::new(ErrorCode::Auth, format!("a proxy in front of {host} asks for a login (401)"))
            .remedy("name its user and password under `credentials.basic`, with user and password for the console"),
        403 => SiteError::new(ErrorCode::Forbidden, format!("the web server of {host} refuses the request (403)"))
            .remedy("let requests from our address to include/api.php pass"),
        404 => bad(format!("{host} has no console there (404)"))
            .remedy("write the console's root as `url`, the part before index.php"),
        429 => bad(format!("{host} limits our requests (429)")).remedy("exempt our address, or raise `refresh_after`"),
        500 if text.trim_ascii().is_empty() => bad(format!("{host} answers with an empty error (500)"))
            .remedy("look into its PHP error log; memory_limit and max_execution_time are the usual causes"),
        500 => bad(format!("{host} answers with an error (500)")).remedy("look into its PHP error log"),
        502..=504 => bad(format!("a proxy in front of {host} gets no answer from the console ({status})"))
            .remedy("look whether the console's PHP service runs"),
        _ if begin.trim().is_empty() => {
            bad(format!("{host} answers with nothing ({status})")).remedy("look into its PHP error log")
        }
        _ if is_login_page(&begin) => bad(format!("{host} answers with a login page")).remedy(
            "the URL must be the console's root, and a login in front (SSO, VPN portal) must let include/api.php pass",
        ),
        _ if html => bad(format!("{host} answers with a web page ({status}) instead of data"))
            .remedy("the URL may lead to a proxy or another site; write the console's root as `url`"),
        200 if begin.trim_start().starts_with('{') => of_json(text, host),
        _ => bad(format!("{host} answers with something that is no data ({status})"))
            .remedy("write the console's root as `url`, and look whether it opens there in a browser"),
    }
}

/// The answer begins as JSON and is not what was asked for.
fn of_json(text: &[u8], host: &str) -> SiteError {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Err(error) if error.is_eof() => broken_off(host),
        Err(_) => SiteError::new(ErrorCode::BadAnswer, format!("{host} answers with something that is no JSON"))
            .remedy("look into its PHP error log"),
        Ok(_) => {
            let message = format!("{host} answers with a message instead of rows, and not one that is known here");
            SiteError::new(ErrorCode::BadAnswer, message).remedy(
                "if the console's language is not English it may say that the account may not read this: look at its \
                 profile; else look whether a console of a known version answers there",
            )
        }
    }
}

/// The answer ends in the middle.
pub(super) fn broken_off(host: &str) -> SiteError {
    SiteError::new(ErrorCode::BadAnswer, format!("the answer of {host} breaks off in the middle"))
        .remedy("look into its PHP error log (memory_limit, max_execution_time), and for a proxy that cuts answers")
}

fn is_login_page(begin: &str) -> bool {
    begin.contains("<form") && (begin.contains("type=\"password\"") || begin.contains("type='password'"))
        || begin.contains("id=\"login_body\"")
        || begin.contains("name=\"login\"") && begin.contains("pandora")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_known_plain_and_in_json() {
        assert_eq!(sentence(b"auth error"), Some(Sentence::Auth));
        assert_eq!(sentence(b" auth error\n"), Some(Sentence::Auth));
        let json = r#"{"type":"string","data":"The Id does not exist in database."}"#;
        assert_eq!(sentence(json.as_bytes()), Some(Sentence::UnknownId));
        assert_eq!(sentence(b"auth errors"), None);
        assert_eq!(sentence(br#"{"type":"array","data":[]}"#), None);
    }

    #[test]
    fn every_answer_is_named() {
        let html = "text/html; charset=utf-8";
        for (status, kind, text, code, says) in [
            (200, html, "auth error", ErrorCode::Auth, "auth error"),
            (500, html, "", ErrorCode::BadAnswer, "empty error (500)"),
            (200, html, "", ErrorCode::BadAnswer, "nothing (200)"),
            (502, html, "<html><h1>Bad Gateway", ErrorCode::BadAnswer, "gets no answer from the console (502)"),
            (200, html, "<html><body>It works!", ErrorCode::BadAnswer, "a web page (200)"),
            (200, html, "<form><input type=\"password\">", ErrorCode::BadAnswer, "login page"),
            (200, "application/json", "{\"type\":\"arr", ErrorCode::BadAnswer, "breaks off"),
            (200, "application/json", "{\"data\":\"No tiene permiso\"}", ErrorCode::BadAnswer, "not one that is known"),
            (200, "application/json", "{nonsense}", ErrorCode::BadAnswer, "no JSON"),
            (407, html, "", ErrorCode::Auth, "the proxy on the way"),
            (503, "application/json", "{\"data\":[]}", ErrorCode::BadAnswer, "(503)"),
            (401, html, "<h1>401", ErrorCode::Auth, "a proxy in front"),
            (403, html, "", ErrorCode::Forbidden, "403"),
            (404, html, "", ErrorCode::BadAnswer, "no console there"),
            (200, "text/plain", "hello", ErrorCode::BadAnswer, "no data"),
        ] {
            let error = unexpected(status, kind, text.as_bytes(), Login::Token, "madrid");
            assert_eq!(error.code, code, "{text}");
            assert!(error.message.contains(says), "{}", error.message);
            assert!(error.remedy.is_some());
        }
    }

    #[test]
    fn auth_error_names_every_cause() {
        for login in [Login::Token, Login::Password] {
            let remedy = auth_error(login, "x").remedy.unwrap();
            for cause in ["IP list with API access", "reverse proxy", "disabled", "no profile"] {
                assert!(remedy.contains(cause), "{cause}");
            }
        }
        assert!(auth_error(Login::Token, "x").remedy.unwrap().contains("drops the `Authorization` header"));
        assert!(auth_error(Login::Password, "x").remedy.unwrap().contains("API password"));
    }
}
