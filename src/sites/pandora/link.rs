//! Where a view is in a console: its `index.php` with `sec` and `sec2`, as consoles 772 and 776 were seen to take.

use url::Url;

use crate::sites::View;

/// The URL of a view below a console's root.
pub(super) fn link(root: &Url, view: &View) -> Url {
    let mut url = root.clone();
    let agent = "operation/agentes/ver_agente";
    let (sec, sec2, more): (&str, &str, Vec<(&str, &str)>) = match view {
        View::Home => return url,
        View::Agent(id) => ("estado", agent, vec![("id_agente", id)]),
        View::Modules(id) => ("estado", agent, vec![("tab", "module"), ("id_agente", id)]),
        View::Alerts(id) => ("estado", agent, vec![("tab", "alert"), ("id_agente", id)]),
        View::Graphs(id) => ("estado", agent, vec![("tab", "graphs"), ("id_agente", id)]),
        View::Events(id) => ("eventos", "operation/events/events", vec![("id_agent", id)]),
    };
    url.set_path(&format!("{}index.php", root.path()));
    url.query_pairs_mut()
        .append_pair("sec", sec)
        .append_pair("sec2", sec2)
        .extend_pairs(more);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_the_root_and_carry_the_id_as_a_value() {
        let root = Url::parse("https://a.example/pandora_console/").unwrap();
        for (view, expected) in [
            (View::Home, ""),
            (
                View::Agent("42".into()),
                "index.php?sec=estado&sec2=operation%2Fagentes%2Fver_agente&id_agente=42",
            ),
            (
                View::Alerts("42".into()),
                "index.php?sec=estado&sec2=operation%2Fagentes%2Fver_agente&tab=alert&id_agente=42",
            ),
            (
                View::Events("4&x=1".into()),
                "index.php?sec=eventos&sec2=operation%2Fevents%2Fevents&id_agent=4%26x%3D1",
            ),
        ] {
            assert_eq!(link(&root, &view).as_str(), format!("{root}{expected}"));
        }
    }
}
