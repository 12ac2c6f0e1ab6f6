//! One agent's modules with values.
//!
//! No call reads the modules of one agent with their values, so each is asked on its own (`module_properties` with
//! fixed fields: without a list it would answer with a plugin's password), at most 200, the worst first, and four at a
//! time of the whole site. One whose id the console does not know any more is gone and left out; one that it does not
//! tell of for any other reason is among the unread, with that reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::answer::Sentence;
use super::api::{Api, Op, Reply};
use super::inventory::status;
use super::text::{Rows, Text};
use crate::clock::{Deadline, Timestamp};
use crate::domain::{ErrorCode, SiteError, Status};
use crate::inventory::Inventory;
use crate::sites::{Detail, MOST_MODULES, Module, Places, Tell, Threshold, Unread};

/// A name, value and description that are longer together are not held: pages show lines.
const MAX_TEXT: usize = 64 * 1024;

/// Nor are more texts of one agent: what was read is kept for a while, for many agents.
const MAX_TEXTS: usize = 1024 * 1024;

/// So many failures without a success are enough, and so many reads of one agent stand in line.
const AT_ONCE: usize = 4;

const FIELDS: &str = ";| |module_id_agent_modulo,module_id_module_type,module_name,module_description,module_data,module_state,\
    module_utimestamp,module_current_interval,module_min_warning,module_max_warning,module_warning_inverse,\
    module_min_critical,module_max_critical,module_critical_inverse";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    module_id_module_type: Text<'a>,
    #[serde(borrow)]
    module_name: Text<'a>,
    #[serde(borrow)]
    module_description: Text<'a>,
    #[serde(borrow)]
    module_data: Text<'a>,
    #[serde(borrow)]
    module_state: Text<'a>,
    #[serde(borrow)]
    module_utimestamp: Text<'a>,
    #[serde(borrow)]
    module_current_interval: Text<'a>,
    #[serde(borrow)]
    module_min_warning: Text<'a>,
    #[serde(borrow)]
    module_max_warning: Text<'a>,
    #[serde(borrow)]
    module_warning_inverse: Text<'a>,
    #[serde(borrow)]
    module_min_critical: Text<'a>,
    #[serde(borrow)]
    module_max_critical: Text<'a>,
    #[serde(borrow)]
    module_critical_inverse: Text<'a>,
}

pub(super) async fn detail(
    (api, root): (&Api, usize),
    places: &Places,
    agent: &str,
    inventory: &Inventory,
    tell: Tell<'_>,
    deadline: Deadline,
) -> Result<Detail, SiteError> {
    let mut planned = inventory.worst_modules(agent, usize::MAX);
    let cut = planned.len().saturating_sub(MOST_MODULES);
    planned.truncate(MOST_MODULES);
    let mut left: BTreeMap<u64, Status> = planned.iter().copied().collect();
    // Whether the console was asked at all; if not, another address of it has nothing to mend.
    let asked = &AtomicBool::new(false);
    let read = |(id, _)| async move {
        match places.module(deadline).await {
            Err(error) => (id, Err(error)),
            Ok(_place) => {
                asked.store(true, Ordering::Relaxed);
                (id, module(api, root, id, deadline).await)
            }
        }
    };
    // In any order, so that one that does not come holds up none but itself.
    let mut reads = stream::iter(planned).map(read).buffer_unordered(AT_ONCE);
    let (mut modules, mut failed, mut gone, mut texts) = (Vec::new(), Vec::new(), 0, 0);
    while let Some((id, read)) = reads.next().await {
        let status = left.remove(&id).unwrap_or(Status::NotInit);
        match read {
            Ok(None) => gone += 1,
            Ok(Some(module)) if texts + text_of(&module) > MAX_TEXTS => failed.push((id, status, too_long(MAX_TEXTS))),
            Ok(Some(module)) => {
                texts += text_of(&module);
                tell(&module);
                modules.push((id, module));
            }
            Err(error) => {
                // A refused login holds a worker of the console for 15 s, and what fails each time is not asked on.
                let stop = error.code == ErrorCode::Auth || modules.is_empty() && failed.len() + 1 >= AT_ONCE;
                failed.push((id, status, error));
                if stop {
                    break;
                }
            }
        }
    }
    if let Some((_, _, error)) = failed.last().cloned() {
        if modules.is_empty() && gone == 0 && asked.load(Ordering::Relaxed) {
            return Err(error);
        }
        failed.extend(left.into_iter().map(|(id, status)| (id, status, error.clone())));
    }
    // Their states may have changed since the inventory.
    modules.sort_by_key(|(id, module)| (module.status.index(), *id));
    failed.sort_by_key(|(id, status, _)| (status.index(), *id));
    let unread = failed.into_iter().map(|(id, status, error)| Unread { id: id.to_string(), status, error });
    Ok(Detail { modules: modules.into_iter().map(|(_, module)| module).collect(), unread: unread.collect(), cut })
}

/// One module; `None` when it is gone since the inventory.
async fn module(api: &Api, root: usize, id: u64, deadline: Deadline) -> Result<Option<Module>, SiteError> {
    if deadline.remaining().is_zero() {
        return Err(SiteError::new(ErrorCode::Timeout, "there was no time left to read it").remedy("allow more time"));
    }
    let text = id.to_string();
    let op = Op::new("module_properties").json().id(&text).other(FIELDS);
    match api.small(root, &op, deadline, |body| one(&text, body)).await? {
        Reply::Sentence(Sentence::UnknownId) => Ok(None),
        Reply::Value(Some(module)) if text_of(&module) > MAX_TEXT => Err(too_long(MAX_TEXT)),
        // The module is there, its state is not.
        Reply::Value(None) => {
            Err(SiteError::new(ErrorCode::BadAnswer, "the console knows it, but tells no state of it")
                .remedy("ask again in a moment; or look at it in the site's console"))
        }
        reply => reply.value(api.login(), "the console"),
    }
}

fn text_of(module: &Module) -> usize {
    module.name.len() + module.value.len() + module.description.len()
}

fn too_long(most: usize) -> SiteError {
    SiteError::new(
        ErrorCode::TooLarge,
        format!("its texts, or those of all the agent's modules, are longer than {most} bytes"),
    )
    .remedy("look at it in the site's console")
}

/// The module of a list of one, or of none.
pub(super) fn one(id: &str, body: &[u8]) -> Option<Option<Module>> {
    let rows: Rows<Row<'_>> = serde_json::from_slice(body).ok()?;
    Some(rows.data.into_iter().next().map(|row| of_row(id, row)))
}

fn of_row(id: &str, row: Row<'_>) -> Module {
    let reported = row.module_utimestamp.0.parse().ok().filter(|secs: &i64| *secs > 0).map(Timestamp::from_secs);
    let interval = row.module_current_interval.0.parse().ok().filter(|secs| *secs > 0);
    Module {
        id: id.to_owned(),
        name: row.module_name.0.into_owned(),
        status: if reported.is_some() { status(&row.module_state.0) } else { Status::NotInit },
        text: is_text(&row.module_id_module_type),
        value: row.module_data.0.into_owned(),
        reported,
        interval: interval.map(Duration::from_secs),
        description: row.module_description.0.into_owned(),
        warning: threshold(&row.module_min_warning, &row.module_max_warning, &row.module_warning_inverse),
        critical: threshold(&row.module_min_critical, &row.module_max_critical, &row.module_critical_inverse),
    }
}

/// Pandora's limits: both 0 means none, an upper end of 0 (or below the lower) means no upper end.
fn threshold(min: &Text<'_>, max: &Text<'_>, inverse: &Text<'_>) -> Option<Threshold> {
    // What is no number to JSON is none here either.
    let number = |text: &Text<'_>| text.0.parse().ok().filter(|number: &f64| number.is_finite());
    let (min, max) = (number(min)?, number(max)?);
    let has = min != 0.0 || max != 0.0;
    has.then(|| Threshold { min, max: (max > min).then_some(max), inverse: inverse.0 == "1" })
}

/// Whether values of a module of this type are text. The console names them; these are those with `string`.
pub(super) fn is_text(number: &Text<'_>) -> bool {
    matches!(number.0.as_ref(), "3" | "10" | "17" | "23" | "33" | "36" | "38")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checks;
    use super::*;

    #[test]
    fn a_recorded_module_is_understood() {
        let body = include_bytes!("../../../tests/fixtures/pandora/s1-module-properties-json.json");
        let rows: Rows<Row<'_>> = serde_json::from_slice(body).unwrap();
        let module = of_row("87", rows.data.into_iter().next().unwrap());
        assert_eq!(
            (module.name.as_str(), module.value.as_str(), module.status),
            ("CPU Load", "17.85000", Status::Normal)
        );
        assert_eq!(module.reported, Some(Timestamp::from_secs(1_795_404_681)));
        assert_eq!((module.interval, module.warning), (Some(Duration::from_secs(300)), None));
        assert!(!module.text);
    }

    #[test]
    fn recorded_names_and_texts_are_decoded_and_whole() {
        for site in ["s1", "s2", "s3"] {
            let file = format!("tests/fixtures/pandora/{site}-module-properties-all-json.json");
            let module = one("95", &std::fs::read(file).unwrap()).unwrap().unwrap();
            assert_eq!((module.name.as_str(), module.text), ("Log & <errors>", true), "{site}");
            assert_eq!(module.value, "OK; all \"fine\" <b>ñ</b> & ?", "{site}");
        }
    }

    #[test]
    fn thresholds_read_as_the_console_means_them() {
        let text = |t: &'static str| Text(t.into());
        let of = |min, max| threshold(&text(min), &text(max), &text("0"));
        assert_eq!(of("0", "0"), None);
        for wild in ["nan", "inf", "-infinity", "1e999", "0x7", ""] {
            assert_eq!((of(wild, "0"), of("1", wild)), (None, None), "{wild}");
        }
        assert_eq!(of("80.00", "95.00"), Some(Threshold { min: 80.0, max: Some(95.0), inverse: false }));
        assert_eq!(of("95.00", "0.00"), Some(Threshold { min: 95.0, max: None, inverse: false }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_module_or_refused(body in crate::sites::pandora::garbage::of(&[
            include_bytes!("../../../tests/fixtures/pandora/s1-module-properties-json.json"),
            include_bytes!("../../../tests/fixtures/pandora/s3-module-properties-all-json.json"),
            include_bytes!("../../../tests/fixtures/pandora/s1-module-properties-unknown.json"),
        ])) {
            checks::module(&body);
        }
    }
}
