//! `POST /api/v1/delegation/verify`: a site's verifier asks whether a token is good. For programs of sites, not for people.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::problem::Problem;
use crate::openings::{NotAnswered, NotNow};

/// Longest question, in bytes.
const MOST_BYTES: usize = 8 << 10;

/// How long a console may keep such a session without asking again, in seconds, for verifiers that hold one themselves.
const SESSION_SECONDS: u64 = 900;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
    st_state: Option<String>,
    #[serde(rename = "client_ip")]
    _client_ip: Option<String>,
}

/// What a verifier hears. Never why not.
#[derive(Debug, Serialize)]
struct Verdict {
    active: bool,
    #[serde(flatten)]
    opened: Option<Opened>,
}

#[derive(Debug, Serialize)]
struct Opened {
    sub: String,
    dst: String,
    act: String,
    session_max_s: u64,
}

/// `POST /api/v1/delegation/verify`
pub(super) async fn verify(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (openings, app) = (Arc::clone(&shared.gateway.openings), shared.gateway.app.load_full());
    let site = openings.verifier(&app.config, bearer(request.headers())).map_err(told)?;
    let body = axum::body::to_bytes(request.into_body(), MOST_BYTES).await;
    let body =
        body.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the question is too large"))?;
    let question: Question = serde_json::from_slice(&body).map_err(|_| {
        Problem::parameter("the question is no JSON of `token`, `st_state` and `client_ip`").remedy("see docs/api.md")
    })?;
    let state = question.st_state.as_deref();
    let Some(claims) = openings.verify(&app.config, site, &question.token, state).await.map_err(told)? else {
        return Ok(answer(None));
    };
    let (site, taken) = (site.clone(), claims.clone());
    let recorded = tokio::task::spawn_blocking(move || openings.consumed(&site, &taken)).await;
    if !matches!(recorded, Ok(Ok(()))) {
        tracing::error!("a token is refused because its use could not be recorded");
        return Err(told(NotAnswered::NoStore));
    }
    let (sub, dst, act) = (claims.sub, claims.dst, claims.act);
    Ok(answer(Some(Opened { sub, dst, act, session_max_s: SESSION_SECONDS })))
}

fn answer(opened: Option<Opened>) -> Response {
    super::search::json(&Verdict { active: opened.is_some(), opened }).into_response()
}

fn bearer(headers: &HeaderMap) -> &str {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next().and_then(|one| one.to_str().ok()), all.next()) {
        (Some(one), None) => one.strip_prefix("Bearer ").unwrap_or(""),
        _ => "",
    }
}

fn told(why: NotAnswered) -> Problem {
    match why {
        NotAnswered::Stranger => {
            let kind = HeaderValue::from_static("Bearer realm=\"metaconsole\"");
            Problem::new(StatusCode::UNAUTHORIZED, "no_verifier", why.to_string())
                .remedy("bring the key `mc1-verify` of the site")
                .header(header::WWW_AUTHENTICATE, kind)
        }
        NotAnswered::NotNow(NotNow::TooMany(wait)) => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "this site asks too often")
                .remedy("wait a moment")
                .header(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))
        }
        NotAnswered::NotNow(_) | NotAnswered::NoStore => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "openings_broken", NotAnswered::NoStore.to_string())
                .remedy("write `gateway.state_dir`, and see the gateway's log")
        }
    }
}
