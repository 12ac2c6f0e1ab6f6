//! `POST /api/v1/delegation/verify` and `…/status`: a site's verifier asks whether a token is good, and later whether what it
//! let in still holds. For programs of sites, not for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::problem::Problem;
use crate::openings::{Asks, NotAnswered, NotNow};

/// Longest question about a token, in bytes.
const MOST_BYTES: usize = 8 << 10;

/// Grants of one question, and its bytes.
const MOST_GRANTS: usize = 1000;
const MOST_BYTES_OF_GRANTS: usize = 48 << 10;

/// A grant is shorter. What is longer is none, and is not given back.
const LONGEST_GRANT: usize = 64;

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
    grant: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grants {
    grants: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Active {
    active: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    grants: BTreeMap<String, Active>,
}

/// `POST /api/v1/delegation/verify`
pub(super) async fn verify(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (openings, app) = (Arc::clone(&shared.gateway.openings), shared.gateway.app.load_full());
    let site = openings.verifier(&app.config, bearer(request.headers()), Asks::Token).map_err(told)?;
    let body = body(request, MOST_BYTES).await?;
    let question: Question = serde_json::from_slice(&body).map_err(|_| {
        Problem::parameter("the question is no JSON of `token`, `st_state` and `client_ip`").remedy("see docs/api.md")
    })?;
    let state = question.st_state.as_deref();
    let Some(claims) = openings.verify(&app.config, site, &question.token, state).await.map_err(told)? else {
        return Ok(answer(None));
    };
    let (site, good, people) = (site.clone(), claims.clone(), shared.gateway.people.clone());
    let admit = move || openings.admit(&app.config, &site, people.as_deref(), &good);
    let admitted = tokio::task::spawn_blocking(admit).await.unwrap_or(Err(NotAnswered::NoStore));
    let Some(grant) = admitted.map_err(told)? else { return Ok(answer(None)) };
    let (sub, dst, act) = (claims.sub, claims.dst, claims.act);
    Ok(answer(Some(Opened { sub, dst, act, session_max_s: SESSION_SECONDS, grant })))
}

/// `POST /api/v1/delegation/status`
pub(super) async fn status(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (openings, app) = (Arc::clone(&shared.gateway.openings), shared.gateway.app.load_full());
    let site = openings.verifier(&app.config, bearer(request.headers()), Asks::Grants).map_err(told)?;
    let body = body(request, MOST_BYTES_OF_GRANTS).await?;
    let asked = serde_json::from_slice(&body).ok().filter(|Grants { grants }| {
        grants.len() <= MOST_GRANTS && grants.iter().all(|grant| grant.len() <= LONGEST_GRANT)
    });
    let Grants { grants } = asked.ok_or_else(|| {
        Problem::parameter("the question is no JSON of `grants` with at most 1,000 of them").remedy("see docs/api.md")
    })?;
    let (site, people) = (site.clone(), shared.gateway.people.clone());
    let look = move || {
        let found = openings.status(&app.config, &site, people.as_deref(), &grants)?;
        Ok(grants.into_iter().zip(found.into_iter().map(|active| Active { active })).collect())
    };
    let found = tokio::task::spawn_blocking(look).await.unwrap_or(Err(NotAnswered::Unknown));
    Ok(super::search::json(&Status { grants: found.map_err(told)? }).into_response())
}

async fn body(request: Request, most: usize) -> Result<Bytes, Problem> {
    let body = axum::body::to_bytes(request.into_body(), most).await;
    body.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the question is too large"))
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
        NotAnswered::Full => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "openings_full", why.to_string())
            .remedy("look for whoever opens this site again and again; there is room when the oldest are 12 h old"),
        NotAnswered::NotNow(_) | NotAnswered::NoStore | NotAnswered::Unknown => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "openings_broken", why.to_string())
                .remedy("write `gateway.state_dir`, and see the gateway's log")
        }
    }
}
