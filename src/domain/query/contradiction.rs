//! Conditions that exclude each other: nobody needs to be asked then. Sound, not complete: what is found contradicts
//! itself for every agent there can be; what is not found is simply searched.

use super::{Status, Term, What};

/// Whether no agent can fulfil all of these.
pub(super) fn is_in(terms: &[Term]) -> bool {
    let negation = |term: &Term| Term { negated: !term.negated, what: term.what.clone() };
    let opposed = terms.iter().filter(|term| term.negated).any(|term| terms.contains(&negation(term)));
    opposed || no_status_left(terms) || no_age_left(terms)
}

fn no_status_left(terms: &[Term]) -> bool {
    let fits = |status: Status| {
        terms.iter().all(|term| match &term.what {
            What::Status(states) => states.contains(&status) != term.negated,
            _ => true,
        })
    };
    !Status::WORST_FIRST.iter().any(|(_, status)| fits(*status))
}

/// `age:>2h age:<1h`. Only conditions of one bound each; who never reported is no exception, being never younger.
fn no_age_left(terms: &[Term]) -> bool {
    let (mut older, mut younger) = (0, u32::MAX);
    for term in terms.iter().filter(|term| !term.negated) {
        let What::Age(bounds) = &term.what else { continue };
        match bounds.as_slice() {
            [bound] if bound.older => older = older.max(bound.secs.saturating_add(1)),
            [bound] => younger = younger.min(bound.secs),
            _ => {}
        }
    }
    // Ages are whole seconds: at least `older`, and less than `younger`.
    younger != u32::MAX && older >= younger
}

#[cfg(test)]
mod tests {
    use super::super::Query;

    #[test]
    fn what_excludes_itself_is_found_out() {
        for (line, contradicts) in [
            ("", false),
            ("status:critical status:normal", true),
            ("status:critical,warning status:warning", false),
            ("status:critical -status:critical,warning", true),
            ("-status:critical,warning,unknown,normal,not_init", true),
            ("web -web", true),
            ("web -webs", false),
            ("-alert:fired alert:fired", true),
            ("age:>2h age:<1h", true),
            ("age:>59s age:<1m", true),
            ("age:>58s age:<1m", false),
            ("age:<0s", true),
            ("age:>2h,<1m age:<1h", false),
            ("-age:>2h age:<1h", false),
            ("group:a group:b", false),
        ] {
            let query = Query::parse(line).unwrap();
            assert_eq!((query.contradicts(), query.concerns("madrid", &[])), (contradicts, !contradicts), "{line}");
        }
    }
}
