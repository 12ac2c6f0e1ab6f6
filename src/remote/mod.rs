//! A running gateway, asked over its own API: what it answers becomes the same report that reading the sites gives.
//!
//! A gateway is believed about its sites, but not about sizes: its answers are bounded, and what is no record of ours is
//! an error. No redirect is followed and no proxy used, so that the token goes to the one address that was named.

mod records;

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use url::Url;

pub use records::{Links, Piece};

use records::Line;

use crate::domain::{Outcome, Query};
use crate::federation::{Report, Row, Wanted};
use crate::inventory::Order;
use crate::secret::Secret;
use crate::wire;

/// A larger answer, or line of a stream, is refused.
const LARGEST: usize = 64 << 20;

/// The most rows that a gateway gives at once.
const PAGE: usize = 1000;

const CONNECT: Duration = Duration::from_secs(5);

/// What a gateway takes, beyond the asker's patience, until something of its answer is there.
const MARGIN: Duration = Duration::from_secs(10);

/// The whole of an answer may take so much longer: it may be large, and the way slow.
const WHOLE: Duration = Duration::from_secs(120);

/// All rows may take so long: whoever reads them may be a person.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A gateway that can be asked.
pub struct Remote {
    base: Url,
    client: reqwest::Client,
    token: Option<HeaderValue>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What to find.
    pub what: What,
    /// Which rows come first.
    pub order: Order,
    /// At most so many rows; of each site in a stream.
    pub limit: usize,
    /// The asker's patience.
    pub patience: Duration,
    /// How new the rows are wanted.
    pub wanted: Wanted,
}

/// What to find.
#[derive(Clone, Debug)]
pub enum What {
    /// Agents that fulfil the query.
    Query(Query),
    /// Agents with exactly this alias or name.
    Named(String),
}

/// Why a gateway gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It cannot be asked at all.
    #[error("{0}")]
    Address(String),
    /// No answer came, or not all of it.
    #[error("the gateway {0} gives no answer: {1}; look whether it runs there")]
    Silent(String, String),
    /// It says that the question is a mistake.
    #[error("{0}")]
    Mistake(String),
    /// It refuses.
    #[error("the gateway refuses: {0}")]
    Refused(String),
    /// What came is no answer of a gateway.
    #[error("{0} does not answer as a gateway does: {1}; look at the address, and whether both have the same version")]
    Nonsense(String, String),
}

/// What a gateway says of an error.
#[derive(Debug, Deserialize)]
struct Problem<'a> {
    #[serde(default)]
    code: String,
    detail: String,
    remedy: Option<String>,
    #[serde(borrow, default)]
    sites: Vec<wire::SiteOutcome<'a>>,
}

/// How an answer ended whose rows were handed over one by one.
#[derive(Debug)]
pub enum Ended {
    /// With this record; without rows.
    Whole(Report),
    /// All sites were required and not all are there. No row was handed over.
    NotMet(Report),
    /// Nobody wanted more.
    Left,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Remote {
    /// The gateway at an address, with a token if it wants one.
    ///
    /// # Errors
    /// The address or the token cannot be used.
    pub fn new(base: &Url, token: Option<&Secret>, patience: Duration) -> Result<Self, RemoteError> {
        if !matches!(base.scheme(), "http" | "https") {
            return Err(RemoteError::Address("the address of a gateway begins with http:// or https://".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            let text = "a gateway takes no password in its address; put a token into METACONSOLE_TOKEN";
            return Err(RemoteError::Address(text.to_owned()));
        }
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let bearer = |token: &Secret| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let unusable = || RemoteError::Address("METACONSOLE_TOKEN has characters that no header can carry".to_owned());
        let token = token.map(|token| bearer(token).ok_or_else(unusable)).transpose()?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("metaconsole/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(patience.saturating_add(MARGIN))
            // A gateway that sends a byte now and then must not hold anybody for ever.
            .timeout(patience.saturating_add(WHOLE))
            .build()
            .map_err(|error| RemoteError::Address(format!("no connection can be made: {error}")))?;
        Ok(Self { base, client, token })
    }

    /// The whole answer, page by page.
    ///
    /// # Errors
    /// The gateway gives none.
    pub async fn report(&self, asked: &Asked) -> Result<(Report, Links), RemoteError> {
        let mut cursor: Option<String> = None;
        let mut whole: Option<Report> = None;
        let mut links = Links::default();
        loop {
            let have = whole.as_ref().map_or(0, |report| report.rows.len());
            let page = Asked { limit: (asked.limit - have).min(PAGE), ..asked.clone() };
            let response = self.send(&page, cursor.as_deref(), "application/json").await?;
            let body = self.body(response).await?;
            let answer: wire::Answer<'_> = serde_json::from_slice(&body).map_err(|error| self.nonsense(&error))?;
            let (next, rows) = (answer.next_cursor.clone(), answer.agents.len());
            let report = records::report(answer, &mut links);
            match &mut whole {
                None => whole = Some(report),
                Some(whole) => {
                    whole.rows.extend(report.rows);
                    worsen(&mut whole.sites, report.sites);
                }
            }
            let have = have + rows;
            match (next, whole) {
                (Some(next), Some(report)) if rows > 0 && have < asked.limit && cursor.as_ref() != Some(&next) => {
                    (cursor, whole) = (Some(next), Some(report));
                }
                (_, Some(report)) => return Ok((report, links)),
                (_, None) => return Err(self.nonsense(&"an answer without a report")),
            }
        }
    }

    /// The answer as a stream; each piece is handed to `tell`, which says whether anybody wants more.
    ///
    /// # Errors
    /// The gateway gives none, or it ends before its summary.
    pub async fn stream(&self, asked: &Asked, mut tell: impl FnMut(Piece) -> bool) -> Result<(), RemoteError> {
        let asked = Asked { limit: asked.limit.min(PAGE), ..asked.clone() };
        let mut response = self.send(&asked, None, "application/x-ndjson").await?;
        let mut reader = records::Reader::default();
        let mut rest: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            rest.extend_from_slice(&chunk);
            while let Some(end) = memchr::memchr(b'\n', &rest) {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let piece = reader.read(&line).map_err(|error| self.nonsense(&error))?;
                let is_last = matches!(piece, Piece::Summary(_));
                if !tell(piece) || is_last {
                    return Ok(());
                }
            }
            if rest.len() > LARGEST {
                return Err(self.nonsense(&"a line of it is too long"));
            }
        }
        Err(self.silent(&"it ended before its summary"))
    }

    /// All rows, each handed to `tell` as it arrives, which says whether anybody wants more. `all`: none unless every
    /// site is in the answer.
    ///
    /// # Errors
    /// The gateway gives no answer, or it ends before its record.
    pub async fn rows(
        &self,
        asked: &Asked,
        all: bool,
        mut tell: impl FnMut(Row, &Links) -> bool,
    ) -> Result<Ended, RemoteError> {
        let mut url = self.url(asked, None)?;
        url.query_pairs_mut().append_pair("format", "ndjson");
        if all {
            url.query_pairs_mut().append_pair("require", "all");
        }
        // Whoever takes the rows from us may be slow; a gateway that is has the client's own limit on silence.
        let request = self.client.get(url).header(ACCEPT, "application/json").timeout(LONGEST);
        let mut response = self.sent(request).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = self.body(response).await?;
            let problem = serde_json::from_slice::<Problem<'_>>(&body).ok();
            return match problem.filter(|problem| all && problem.code == "require_not_met") {
                Some(problem) => Ok(Ended::NotMet(records::of_outcomes(problem.sites))),
                None => Err(self.refused(status, &body)),
            };
        }
        let mut rest: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            rest.extend_from_slice(&chunk);
            let mut done = 0;
            while let Some(line) = rest.get(done..).and_then(|rest| rest.get(..=memchr::memchr(b'\n', rest)?)) {
                done += line.len();
                match records::line(line).map_err(|error| self.nonsense(&error))? {
                    Line::Summary(report) => return Ok(Ended::Whole(report)),
                    Line::Row(row, links) => {
                        if !tell(row, &links) {
                            return Ok(Ended::Left);
                        }
                    }
                }
            }
            rest.drain(..done);
            if rest.len() > LARGEST {
                return Err(self.nonsense(&"a line of it is too long"));
            }
        }
        Err(self.silent(&"it ended before its record, so rows are missing"))
    }

    async fn send(
        &self,
        asked: &Asked,
        cursor: Option<&str>,
        accept: &'static str,
    ) -> Result<reqwest::Response, RemoteError> {
        let response = self.sent(self.client.get(self.url(asked, cursor)?).header(ACCEPT, accept)).await?;
        match response.status().as_u16() {
            200 => Ok(response),
            status => Err(self.refused(status, &self.body(response).await?)),
        }
    }

    async fn sent(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, RemoteError> {
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        request.send().await.map_err(|error| self.silent(&error))
    }

    fn refused(&self, status: u16, body: &[u8]) -> RemoteError {
        let Ok(problem) = serde_json::from_slice::<Problem<'_>>(body) else {
            return self.nonsense(&format_args!("status {status}"));
        };
        let text = match (status, problem.remedy) {
            (401, None) => format!("{}; put a token into METACONSOLE_TOKEN", problem.detail),
            (_, Some(remedy)) => format!("{}; {remedy}", problem.detail),
            (_, None) => problem.detail,
        };
        match status {
            400 | 404 | 406 | 413 | 414 => RemoteError::Mistake(text),
            _ => RemoteError::Refused(text),
        }
    }

    fn url(&self, asked: &Asked, cursor: Option<&str>) -> Result<Url, RemoteError> {
        let path = match &asked.what {
            What::Query(_) => "api/v1/search",
            What::Named(_) => "api/v1/where",
        };
        let mut url = self.base.join(path).map_err(|error| RemoteError::Address(format!("no address: {error}")))?;
        let mut pairs = url.query_pairs_mut();
        match &asked.what {
            What::Query(query) => pairs.append_pair("q", &query.to_string()),
            What::Named(name) => pairs.append_pair("name", name),
        };
        let millis = |duration: Duration| format!("{}ms", duration.as_millis());
        pairs.append_pair("sort", &asked.order.to_string());
        if asked.limit < usize::MAX {
            pairs.append_pair("limit", &asked.limit.to_string());
        }
        pairs.append_pair("deadline", &millis(asked.patience));
        match asked.wanted {
            Wanted::Within(Duration::ZERO) => pairs.append_pair("fresh", "1"),
            Wanted::Within(age) => pairs.append_pair("max_age", &millis(age)),
            _ => &mut pairs,
        };
        if let Some(cursor) = cursor {
            pairs.append_pair("cursor", cursor);
        }
        drop(pairs);
        Ok(url)
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, RemoteError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(self.nonsense(&"it is too large"));
            }
        }
        Ok(body)
    }

    fn silent(&self, why: &dyn fmt::Display) -> RemoteError {
        RemoteError::Silent(self.base.to_string(), why.to_string())
    }

    fn nonsense(&self, why: &dyn fmt::Display) -> RemoteError {
        RemoteError::Nonsense(self.base.to_string(), why.to_string())
    }
}

/// A site that fails between two pages is missing from the answer, however it was before.
fn worsen(known: &mut [Outcome], later: Vec<Outcome>) {
    for later in later {
        let worse =
            |known: &&mut Outcome| known.site == later.site && (known.contribution as u8) < (later.contribution as u8);
        if let Some(known) = known.iter_mut().find(worse) {
            *known = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Contribution;

    #[test]
    fn a_site_that_fails_between_two_pages_is_missing() {
        let outcome = |site: &str, contribution| Outcome {
            site: site.parse().unwrap(),
            contribution,
            asked: true,
            rows: 1,
            age: None,
            took: Duration::ZERO,
            failure: None,
            warnings: Vec::new(),
            lost: 0,
            alerts_as_of: None,
        };
        let mut known = [outcome("a", Contribution::Fresh), outcome("b", Contribution::Stale)];
        worsen(&mut known, vec![outcome("a", Contribution::Failed), outcome("b", Contribution::Cached)]);
        assert_eq!(known.map(|outcome| outcome.contribution), [Contribution::Failed, Contribution::Stale]);
    }
}
