//! Where openings are recorded. What cannot be recorded does not happen.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::access::journal::Journal;
use crate::access::secrets::digest;
use crate::audit::{JtiDigest, Opening, Record};
use crate::domain::SiteId;

use super::pending::Wanted;

/// Which opening an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Qualified login of the person.
    pub login: String,
    /// Which site.
    pub site: SiteId,
    /// As which account there; empty where there is none for this person.
    pub account: String,
    /// Which view, as it was asked for: `agent:42`; empty for the console's first page.
    pub view: String,
}

impl Told {
    pub(super) fn of(wanted: &Wanted) -> Self {
        let Wanted { login, site, account, view } = wanted.clone();
        Self { login, site, account, view }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A token is about to be signed.
    Issued {
        /// What for.
        told: Told,
        /// The token's number (`jti`). To be recorded as a hash only.
        number: String,
    },
    /// A console's own login hash is about to be given out, which cannot expire.
    Direct {
        /// What for.
        told: Told,
        /// Tells whether the site's secret is still the one it was made with.
        mark: String,
    },
    /// A verifier asked, and the token was good; it is used up.
    Consumed {
        /// What for; its view is not in the token.
        told: Told,
        /// The token's number (`jti`). To be recorded as a hash only.
        number: String,
    },
    /// A verifier asked about a good token that was never signed here: somebody else signs with the site's key.
    Unissued {
        /// What it claims; its login is what the token says, which is not to be believed.
        told: Told,
        /// The token's number (`jti`). To be recorded as a hash only.
        number: String,
    },
    /// A site was told to end what was opened there, or could not be told.
    Ended {
        /// Which; without a view.
        told: Told,
        /// Whether the site has heard it.
        delivered: bool,
        /// Why it is to end, and what the site said.
        detail: String,
    },
    /// An opening was refused.
    Refused {
        /// What was asked for.
        told: Told,
        /// `not_granted`, `no_account`, `closed`, `too_many` or `changed`.
        why: &'static str,
    },
}

/// It could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the opening could not be recorded")]
pub struct Unrecorded;

/// Keeps what happens, durably, before it returns.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Records an event.
    ///
    /// # Errors
    /// When it is not kept: then what it tells of must not happen.
    fn record(&self, event: &Event) -> Result<(), Unrecorded>;
}

/// Keeps them in the audit log, and tells the log. To be asked from a thread that may wait, as every caller does.
#[derive(Clone, Debug)]
pub struct Journaled {
    journal: Arc<Journal>,
    runtime: Handle,
}

impl Journaled {
    /// In this audit log. Needs a runtime.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self { journal, runtime: Handle::current() }
    }
}

impl Witness for Journaled {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        self.runtime.block_on(self.journal.record(record(event))).map_err(|_| Unrecorded)?;
        TellLog.record(event)
    }
}

/// As the audit log has it.
fn record(event: &Event) -> Record {
    let none = String::new();
    let (told, number) = match event {
        Event::Issued { told, number } | Event::Consumed { told, number } | Event::Unissued { told, number } => {
            (told, number)
        }
        Event::Refused { told, .. } | Event::Direct { told, .. } | Event::Ended { told, .. } => (told, &none),
    };
    let jti = JtiDigest::of(number);
    let opening = Opening { site: &told.site, account: &told.account, view: &told.view, jti: &jti };
    match event {
        Event::Issued { .. } => Record::issued(&told.login, opening),
        Event::Consumed { .. } => Record::consumed(&told.login, opening),
        Event::Direct { mark, .. } => Record::handed(&told.login, opening, mark),
        Event::Unissued { .. } => Record::unissued(opening, &format!("claims to be for {}", told.login)),
        Event::Ended { delivered, detail, .. } => {
            Record::ended(&told.login, &told.site, &told.account, *delivered, detail)
        }
        Event::Refused { why: "no_account", .. } => Record::unmapped(&told.login, &told.site),
        // No token was made, so there is no number.
        Event::Refused { why, .. } => Record::not_begun(&told.login, opening, why),
    }
}

/// Tells the log.
#[derive(Clone, Copy, Debug)]
pub struct TellLog;

impl Witness for TellLog {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        match event {
            Event::Issued { told: Told { login, site, account, view }, number } => {
                let number: String = digest(number).chars().take(16).collect();
                tracing::info!(login, %site, account, view, jti_sha256 = number, "an opening was signed");
            }
            Event::Consumed { told: Told { login, site, account, .. }, number } => {
                let number: String = digest(number).chars().take(16).collect();
                tracing::info!(login, %site, account, jti_sha256 = number, "an opening was taken");
            }
            Event::Direct { told: Told { login, site, account, view }, .. } => {
                tracing::info!(login, %site, account, view, "an opening by the console's own hash, which cannot expire");
            }
            Event::Unissued { told: Told { login, site, account, .. }, number } => {
                let number: String = digest(number).chars().take(16).collect();
                tracing::error!(
                    claimed = login, %site, account, jti_sha256 = number,
                    "ALARM: a site asked about a token that was signed with its key and not by this gateway; give the \
                     site new keys, and find out who has them"
                );
            }
            Event::Ended { told: Told { login, site, account, .. }, delivered: true, detail } => {
                tracing::info!(login, %site, account, detail, "a site was told to end what was opened there");
            }
            Event::Ended { told: Told { login, site, account, .. }, delivered: false, detail } => {
                tracing::error!(login, %site, account, detail, "a site could not be told to end what was opened there");
            }
            Event::Refused { told: Told { login, site, account, view }, why } => {
                tracing::warn!(login, %site, account, view, why, "an opening was refused");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Filter, newest};
    use crate::clock::Clock;

    #[tokio::test]
    async fn an_opening_is_in_the_audit_log_without_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(folder.path(), "gw", Clock::System).unwrap());
        let witness = Journaled::new(Arc::clone(&journal));
        let told = Told {
            login: "local:ana".to_owned(),
            site: "madrid".parse().unwrap(),
            account: "ops".to_owned(),
            view: "agent:42".to_owned(),
        };
        let number = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
        let events = [
            Event::Issued { told: told.clone(), number: number.clone() },
            Event::Refused { told: told.clone(), why: "closed" },
            Event::Refused { told: told.clone(), why: "no_account" },
            Event::Direct { told: told.clone(), mark: "0123abcd".to_owned() },
            Event::Unissued { told: told.clone(), number: number.clone() },
            Event::Ended { told, delivered: false, detail: "logged out: no answer".to_owned() },
        ];
        for event in events {
            let witness = witness.clone();
            tokio::task::spawn_blocking(move || witness.record(&event)).await.unwrap().unwrap();
        }
        journal.close().await;
        let lines: Vec<_> =
            newest(folder.path(), Filter::default()).unwrap().map(|entry| entry.unwrap().line).collect();
        for (line, words) in lines.iter().rev().zip([
            ["open.issued", "local:ana", "madrid", "agent:42", "jti"],
            ["open.refused", "local:ana", "madrid", "agent:42", "closed"],
            ["map.missing", "local:ana", "madrid", "result", "no account"],
            ["open.issued", "local:ana", "\"jti_sha256\":null", "\"result\":\"direct\"", "secret 0123abcd"],
            ["open.unissued", "\"actor\":\"unknown\"", "madrid", "alarm", "claims to be for local:ana"],
            ["open.ended", "local:ana", "madrid", "not delivered", "logged out: no answer"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)) && !line.contains(&number), "{line}");
        }
        assert_eq!(lines.len(), 6);
    }
}
