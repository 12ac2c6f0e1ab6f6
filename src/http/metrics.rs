//! What is counted, as Prometheus reads it. The one list of names is [`FAMILIES`]; `docs/metrics.md` explains it.
//!
//! Numbers of sites come from their slots when the page is read; only what happens at this edge is counted here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Shared;
use super::states::Word;
use super::viewer::Viewer;
use crate::federation::{Report, Snapshot};
use crate::telemetry;

/// What happened at this edge since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    in_flight: AtomicI64,
    cut: AtomicU64,
    /// By route and status: how many, and their seconds.
    requests: Mutex<BTreeMap<(String, u16), (u64, f64)>>,
    answers: AtomicU64,
    degraded: Mutex<BTreeMap<&'static str, u64>>,
}

/// Nothing panics while one is held; a poisoned count would still be whole.
fn locked<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    /// A request has begun.
    pub(super) fn begun(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended; `whole`: its answer was sent to the end.
    pub(super) fn ended(&self, route: &str, status: u16, took: Duration, whole: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.cut.fetch_add(u64::from(!whole), Ordering::Relaxed);
        let mut requests = locked(&self.requests);
        let (count, seconds) = requests.entry((route.to_owned(), status)).or_default();
        *count += 1;
        *seconds += took.as_secs_f64();
    }

    /// A question was answered with this.
    pub(super) fn answered(&self, report: &Report) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let mut reasons: BTreeSet<_> =
            report.sites.iter().filter_map(|site| Some(site.failure.as_ref()?.error.code.as_str())).collect();
        if report.completeness().cut > 0 {
            reasons.insert("rows_lost");
        }
        let mut degraded = locked(&self.degraded);
        reasons.into_iter().for_each(|reason| *degraded.entry(reason).or_default() += 1);
    }
}

/// What the page is made from.
struct Source<'a> {
    shared: &'a Shared,
    /// Sites by id.
    sites: Vec<(&'a str, Snapshot)>,
}

/// One name, what it means, and its samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    write: fn(&Source<'_>, &mut Samples<'_>),
}

const FAMILIES: &[Family] = &[
    Family {
        name: "metaconsole_build_info",
        kind: "gauge",
        help: "Always 1; the version is a label.",
        write: |_, to| to.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1),
    },
    Family {
        name: "metaconsole_config_reload_failed",
        kind: "gauge",
        help: "1 while the newest configuration has mistakes and the one before is in force.",
        write: |from, to| to.sample("", &[], u8::from(from.shared.gateway.reload_error.load().is_some())),
    },
    Family {
        name: "metaconsole_draining",
        kind: "gauge",
        help: "1 while the gateway is about to end.",
        write: |from, to| to.sample("", &[], u8::from(*from.shared.gateway.draining.borrow())),
    },
    Family {
        name: "metaconsole_requests_in_flight",
        kind: "gauge",
        help: "Requests whose answer has not been sent whole, this one included.",
        write: |from, to| to.sample("", &[], from.shared.tally.in_flight.load(Ordering::Relaxed)),
    },
    Family {
        name: "metaconsole_requests_cut_total",
        kind: "counter",
        help: "Requests whose client left before the end of the answer.",
        write: |from, to| to.sample("", &[], from.shared.tally.cut.load(Ordering::Relaxed)),
    },
    Family {
        name: "metaconsole_request_seconds",
        kind: "summary",
        help: "Requests by route and status, and the seconds until their answers were sent. Status 499: the client left.",
        write: requests,
    },
    Family {
        name: "metaconsole_answers_total",
        kind: "counter",
        help: "Answers with rows of sites: searches, exact names, streams.",
        write: |from, to| to.sample("", &[], from.shared.tally.answers.load(Ordering::Relaxed)),
    },
    Family {
        name: "metaconsole_degraded_answers_total",
        kind: "counter",
        help: "Answers in which at least one site was stale or failed for this reason, or rows were lost.",
        write: |from, to| {
            for (reason, count) in locked(&from.shared.tally.degraded).iter() {
                to.sample("", &[("reason", reason)], count);
            }
        },
    },
    Family {
        name: "metaconsole_log_lines_dropped_total",
        kind: "counter",
        help: "Log lines that nobody took in time.",
        write: |_, to| to.sample("", &[], telemetry::dropped()),
    },
    Family {
        name: "metaconsole_audit_sequence",
        kind: "gauge",
        help: "Number of the last durable line of the audit log; absent without a login.",
        write: |from, to| {
            if let Some(journal) = &from.shared.gateway.journal {
                to.sample("", &[], journal.state().seq);
            }
        },
    },
    Family {
        name: "metaconsole_audit_head_info",
        kind: "gauge",
        help: "Always 1; the hash of the last durable line is a label, to be remembered elsewhere.",
        write: |from, to| {
            if let Some(journal) = &from.shared.gateway.journal {
                to.sample("", &[("head", &journal.state().head.to_string())], 1);
            }
        },
    },
    Family {
        name: "metaconsole_audit_failing",
        kind: "gauge",
        help: "1 while the audit log cannot be written: nobody can log in or out, and no configuration comes into force.",
        write: |from, to| {
            if let Some(journal) = &from.shared.gateway.journal {
                to.sample("", &[], u8::from(journal.state().failing.is_some()));
            }
        },
    },
    Family {
        name: "metaconsole_audit_refused_total",
        kind: "counter",
        help: "What was not done because it could not be recorded.",
        write: |from, to| {
            if let Some(journal) = &from.shared.gateway.journal {
                to.sample("", &[], journal.refused());
            }
        },
    },
    Family {
        name: "metaconsole_audit_searches_lost_total",
        kind: "counter",
        help: "Searches that could not be recorded.",
        write: |from, to| {
            if let Some(journal) = &from.shared.gateway.journal {
                to.sample("", &[], journal.lost());
            }
        },
    },
    Family {
        name: "metaconsole_openings_failing",
        kind: "gauge",
        help: "1 while what was opened or used up cannot be written down: no console is opened.",
        write: |from, to| to.sample("", &[], u8::from(from.shared.gateway.openings.is_failing())),
    },
    Family {
        name: "metaconsole_openings_unissued_total",
        kind: "counter",
        help: "Good tokens that sites asked about and that were never signed here: an alarm.",
        write: |from, to| to.sample("", &[], from.shared.gateway.openings.unissued()),
    },
    Family {
        name: "metaconsole_openings_ends_lost_total",
        kind: "counter",
        help: "Ends of sessions that a site could not be told.",
        write: |from, to| to.sample("", &[], from.shared.gateway.openings.undelivered()),
    },
    Family {
        name: "metaconsole_site_state",
        kind: "gauge",
        help: "1 for the state a site is in, 0 for the others.",
        write: |from, to| {
            for (id, known) in &from.sites {
                for word in Word::ALL {
                    let is = u8::from(Word::of(known) == word);
                    to.sample("", &[("site", id), ("state", word.as_str())], is);
                }
            }
        },
    },
    Family {
        name: "metaconsole_site_agents",
        kind: "gauge",
        help: "Agents known of a site; absent when nothing is known.",
        write: |from, to| {
            for (id, known) in &from.sites {
                known.agents.iter().for_each(|agents| to.sample("", &[("site", id)], agents));
            }
        },
    },
    Family {
        name: "metaconsole_site_as_of_seconds",
        kind: "gauge",
        help: "When a site's rows were asked for, in seconds since 1970; absent when nothing is known.",
        write: |from, to| {
            for (id, known) in &from.sites {
                known.as_of.iter().for_each(|as_of| to.sample("", &[("site", id)], as_of.as_secs()));
            }
        },
    },
    Family {
        name: "metaconsole_site_info",
        kind: "gauge",
        help: "Always 1; the version of the site's product is a label, empty while it is not known.",
        write: |from, to| {
            for (id, known) in &from.sites {
                to.sample("", &[("site", id), ("version", known.about.version.as_deref().unwrap_or(""))], 1);
            }
        },
    },
    Family {
        name: "metaconsole_site_certificate_ends_seconds",
        kind: "gauge",
        help: "When a site's certificate ends, in seconds since 1970; absent without encryption or before an answer.",
        write: |from, to| {
            for (id, known) in &from.sites {
                known.about.certificate_ends.iter().for_each(|ends| to.sample("", &[("site", id)], ends.as_secs()));
            }
        },
    },
    Family {
        name: "metaconsole_site_reads_total",
        kind: "counter",
        help: "Reads of a site that ended, by result: ok, or the code of the error.",
        write: |from, to| {
            for (id, known) in &from.sites {
                for (result, count) in &known.tally.results {
                    to.sample("", &[("site", id), ("result", result)], count);
                }
            }
        },
    },
    Family {
        name: "metaconsole_site_alert_reads_total",
        kind: "counter",
        help: "Reads of a site's alerts that ended, by result: ok, or the code of the error.",
        write: |from, to| {
            for (id, known) in &from.sites {
                for (result, count) in &known.alert_reads.results {
                    to.sample("", &[("site", id), ("result", result)], count);
                }
            }
        },
    },
    Family {
        name: "metaconsole_site_read_seconds",
        kind: "summary",
        help: "What reads of a site took, well or not.",
        write: |from, to| {
            for (id, known) in &from.sites {
                to.sample("_sum", &[("site", id)], known.tally.cost.as_secs_f64());
                to.sample("_count", &[("site", id)], known.tally.results.values().sum::<u64>());
            }
        },
    },
];

fn requests(from: &Source<'_>, to: &mut Samples<'_>) {
    for ((route, status), (count, seconds)) in locked(&from.shared.tally.requests).iter() {
        let status = status.to_string();
        let labels = [("route", route.as_str()), ("status", status.as_str())];
        to.sample("_sum", &labels, seconds);
        to.sample("_count", &labels, count);
    }
}

/// Writes the samples of one family.
struct Samples<'a> {
    name: &'static str,
    page: &'a mut String,
}

impl Samples<'_> {
    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a text cannot fail.
        let _ = writeln!(self.page, "{}{suffix}{labels} {value}", self.name);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All metrics now.
pub(super) fn page(shared: &Shared, viewer: &Viewer) -> String {
    let sites = viewer.view.slots().map(|slot| (slot.plan().id.as_str(), slot.snapshot())).collect();
    let source = Source { shared, sites };
    let mut page = String::new();
    for Family { name, kind, help, write } in FAMILIES {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        write(&source, &mut Samples { name, page: &mut page });
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn the_documented_list_is_the_list() {
        let doc = include_str!("../../docs/metrics.md");
        let rows = doc.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let listed: Vec<(&str, &str)> =
            rows.filter_map(|(name, rest)| Some((name, rest.split('|').nth(1)?.trim()))).collect();
        let all: Vec<_> = FAMILIES.iter().map(|family| (family.name, family.kind)).collect();
        assert_eq!(listed, all);
    }
}
