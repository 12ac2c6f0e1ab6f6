//! A site's planned work as it is told to a viewer: what runs and what comes soon. Names are free text about the whole
//! site, so whoever sees a part of it is told the times only.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::viewer::Viewer;
use crate::clock::Timestamp;
use crate::federation::{HeldPlanned, Slot};
use crate::inventory::Visible;

/// What begins within this time is told, too.
const AHEAD: Duration = Duration::from_secs(86_400);

/// At most so many of each kind.
const MOST: usize = 20;

/// Longer names are cut.
const LONGEST_NAME: usize = 200;

/// A piece of planned work that happens once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Window {
    /// As the site sent it, cut; none for whoever sees a part of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// What a viewer is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// What runs now; of several, what ends last.
    pub(super) running: Option<Window>,
    /// What runs now or begins soon, by its beginning.
    pub(super) windows: Vec<Window>,
    /// Names of recurring work; none in each for whoever sees a part of the site.
    pub(super) recurring: Vec<Option<String>>,
}

impl Planned {
    fn of(held: &HeldPlanned, named: bool, now: Timestamp) -> Self {
        let name = |name: &str| named.then(|| name.chars().take(LONGEST_NAME).collect::<String>());
        let window = |it: crate::federation::Window<'_>| Window { name: name(it.name), from: it.from, to: it.to };
        Self {
            running: held.running(now).map(window),
            windows: held.windows(now, AHEAD).into_iter().take(MOST).map(window).collect(),
            recurring: held.recurring().take(MOST).map(|work| name(&work.name)).collect(),
        }
    }
}

/// What this viewer may know of a site's planned work; `None`: it is not known. `wanted`: somebody looks at it, so it is
/// read where that is due; this never waits.
pub(super) fn planned(viewer: &Viewer, slot: &Arc<Slot>, wanted: bool) -> Option<Planned> {
    let held = slot.look_planned(wanted).held?;
    let whole = viewer.view.seat(slot.plan().id.as_str()).is_some_and(|(_, visible)| **visible == Visible::All);
    Some(Planned::of(&held, whole, viewer.app.clock().now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{PlannedWork, When};

    #[test]
    fn whoever_sees_a_part_is_told_times_only_and_nobody_more_than_fits() {
        let at = Timestamp::from_secs;
        let work = |name: String, when| PlannedWork {
            id: "1".to_owned(),
            name,
            description: "secret plan".to_owned(),
            group: "20".to_owned(),
            when,
        };
        let once = |n: i64| work("x".repeat(5000), When::Once { from: at(n), to: at(5000 + n) });
        let mut all: Vec<_> = (0..50).map(once).collect();
        all.push(work("weekly".to_owned(), When::Recurring));
        let held = HeldPlanned { work: all.into(), as_of: at(0) };
        let seen = Planned::of(&held, true, at(1000));
        let name = Some("x".repeat(200));
        assert_eq!(seen.running, Some(Window { name: name.clone(), from: at(49), to: at(5049) }));
        assert_eq!((seen.windows.len(), &seen.windows[0].name), (20, &name));
        assert_eq!(seen.recurring, [Some("weekly".to_owned())]);
        let part = Planned::of(&held, false, at(1000));
        assert_eq!(part.running, Some(Window { name: None, from: at(49), to: at(5049) }));
        assert!(part.windows.iter().chain(&part.running).all(|window| window.name.is_none()));
        assert_eq!(part.recurring, [None]);
        assert!(!serde_json::to_string(&part.windows).unwrap().contains("name"));
    }
}
