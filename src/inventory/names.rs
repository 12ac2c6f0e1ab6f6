//! What agents share by name, for completions: groups and operating systems, as far as a viewer may see them.

use super::{Inventory, Label, Visible};

impl Inventory {
    /// Names of groups whose folded form contains this text, each once, of those the viewer may see and that have
    /// agents.
    pub fn groups_like<'a>(&'a self, folded: &'a str, visible: &Visible) -> impl Iterator<Item = &'a str> {
        let shown = self.visible_groups(visible);
        let mut used = vec![false; self.groups.len()];
        for group in self.group_sets.iter().flatten() {
            if let Some(used) = used.get_mut(*group as usize).filter(|_| shown.group(*group)) {
                *used = true;
            }
        }
        like(&self.groups, used, folded)
    }

    /// Names of operating systems whose folded form contains this text, of agents the viewer may see.
    pub fn systems_like<'a>(&'a self, folded: &'a str, visible: &Visible) -> impl Iterator<Item = &'a str> {
        let shown = self.visible_groups(visible);
        let mut used = vec![false; self.systems.len()];
        for (agent, system) in self.system.iter().enumerate() {
            if let Some(used) = used.get_mut(*system as usize).filter(|used| !**used && shown.sees(self, agent)) {
                *used = true;
            }
        }
        like(&self.systems, used, folded)
    }
}

fn like<'a>(labels: &'a [Label], used: Vec<bool>, folded: &'a str) -> impl Iterator<Item = &'a str> {
    let used = labels.iter().zip(used).filter(|(_, used)| *used).map(|(label, _)| label);
    used.filter(move |label| label.folded.contains(folded)).map(|label| label.shown.as_str())
}
