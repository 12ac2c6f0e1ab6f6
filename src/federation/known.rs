//! Names that can complete what somebody types, from what is known. Asks no site.

use std::collections::BTreeMap;

use super::{View, Wanted};
use crate::domain::fold;
use crate::domain::query::TextField;

impl View {
    /// Names of groups (or of operating systems) that contain a text, folded: those that begin with it first, then in
    /// their order; each once, at most `limit`.
    pub fn names_like(&self, field: TextField, text: &str, limit: usize) -> Vec<String> {
        let folded = fold(text);
        let mut names: BTreeMap<(bool, String), String> = BTreeMap::new();
        for (slot, visible) in &self.seats {
            let Some(held) = slot.look(Wanted::Known).held else { continue };
            let mut take = |name: &str| {
                let key = fold(name);
                names.entry((!key.starts_with(&folded), key)).or_insert_with(|| name.to_owned());
                if names.len() > limit {
                    names.pop_last();
                }
            };
            match field {
                TextField::Group => held.inventory.groups_like(&folded, visible).for_each(&mut take),
                _ => held.inventory.systems_like(&folded, visible).for_each(&mut take),
            }
        }
        names.into_values().collect()
    }
}
