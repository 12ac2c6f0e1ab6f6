//! Why an answer is as it is: which sites were asked, and how many agents each condition let through there.

use super::{Question, Report, View, Wanted};
use crate::domain::{Contribution, SiteId};
use crate::inventory::Request;

/// Of a whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Each condition, canonical, with the number of known agents that fulfil it, and that fulfil it and all before it.
    pub terms: Vec<(String, usize, usize)>,
    /// Each site of the report, in its order.
    pub sites: Vec<SiteExplained>,
}

/// Of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteExplained {
    /// Its id.
    pub site: SiteId,
    /// `read`: its rows were read for this answer; `held`: they were known; `nothing`: none are known; `not_concerned`:
    /// the query cannot concern it, so it was not asked.
    pub asked: &'static str,
    /// Agents known there that the viewer may see.
    pub agents: usize,
    /// How many of them fulfil each condition, and that and all before it.
    pub terms: Vec<(usize, usize)>,
}

impl View {
    /// Explains a report that was made just now, from what is held now. Causes no read.
    pub fn explain(&self, question: &Question, report: &Report) -> Explanation {
        let terms = question.query.terms().iter().map(|term| (term.to_string(), 0, 0));
        let mut explanation = Explanation { terms: terms.collect(), sites: Vec::new() };
        for outcome in &report.sites {
            let Some((slot, visible)) = self.seat(outcome.site.as_str()) else { continue };
            let plan = slot.plan();
            let concerned = question.query.concerns(plan.id.as_str(), &plan.tags);
            let held = if concerned { slot.look(Wanted::Known).held } else { None };
            let mut explained = held.map_or_else(Default::default, |held| {
                let alerts = slot.look_alerts(false).held.map(|held| held.fired);
                let request = Request::new(&question.query, visible, self.clock.now());
                held.inventory.explain(Request { alerts: alerts.as_ref(), ..request })
            });
            for (sum, (alone, left)) in explanation.terms.iter_mut().zip(&explained.terms) {
                sum.1 += alone;
                sum.2 += left;
            }
            let asked = match outcome.contribution {
                _ if !concerned => "not_concerned",
                Contribution::Fresh => "read",
                Contribution::Cached | Contribution::Stale => "held",
                Contribution::Failed => "nothing",
            };
            let terms = std::mem::take(&mut explained.terms);
            explanation.sites.push(SiteExplained { site: plan.id.clone(), asked, agents: explained.visible, terms });
        }
        explanation
    }
}
