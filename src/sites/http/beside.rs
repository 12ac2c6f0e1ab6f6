//! One question to what stands beside a console, under the console's own address: the verifier of its openings.

use futures_util::FutureExt as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::{Clients, Http, Method, Request};
use crate::clock::{Clock, Deadline};
use crate::config;
use crate::domain::{ErrorCode, SiteError};
use crate::secret::Secret;

/// Longest answer, in bytes.
const MOST_BYTES: usize = 16 << 10;

/// Status and body of a request without a body of its own, with one secret header. `url` is as browsers have it; it is asked
/// where the gateway reaches the site, at one address after the other.
///
/// # Errors
/// No answer, or one that is too long.
pub async fn beside(
    site: &config::Site,
    clients: &Clients,
    clock: Clock,
    method: Method,
    url: &Url,
    header: (&'static str, &Secret),
    deadline: Deadline,
) -> Result<(u16, Vec<u8>), SiteError> {
    let bad = |text: &str| SiteError::new(ErrorCode::Unreachable, text);
    let (name, value) = header;
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad("the question cannot stand in a header"))?;
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
    // Below the console's root it moves with it; elsewhere on the host its path is the same.
    let path = url.path().strip_prefix(site.public_url.path()).unwrap_or(url.path());
    // Its arguments name the action, so they stay in the address of a POST, too.
    let path = &url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let http = Http::new(site, clients, clock)?;
    let ask = |root, deadline| {
        let request = Request { path, method, arguments: &[], headers: &headers };
        let http = &http;
        async move {
            let mut answer = http.send(root, request, deadline).await?;
            Ok((answer.status, answer.small(MOST_BYTES).await?))
        }
        .boxed()
    };
    http.in_turn(deadline, ask).await
}
