//! Where a view is in a console: its `index.php` with `sec` and `sec2`, as consoles 772 and 776 were seen to take.

use url::Url;

use crate::sites::View;

/// The URL of a view below a console's root.
pub(super) fn link(root: &Url, view: View<'_>) -> Url {
    let mut url = root.clone();
    let agent = "operation/agentes/ver_agente";
    let (sec, sec2, more, id) = match view {
        View::Home => return url,
        View::Agent(id) => ("estado", agent, "id_agente", id),
        View::Modules(id) => ("estado", agent, "tab=module&id_agente", id),
        View::Alerts(id) => ("estado", agent, "tab=alert&id_agente", id),
        View::Graphs(id) => ("estado", agent, "tab=graphs&id_agente", id),
        View::Events(id) => ("eventos", "operation/events/events", "id_agent", id),
    };
    url.set_path(&format!("{}index.php", root.path()));
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    url.set_query(Some(&format!("sec={sec}&sec2={sec2}&{more}={id}")));
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
            (View::Agent("42"), "index.php?sec=estado&sec2=operation/agentes/ver_agente&id_agente=42"),
            (View::Alerts("42"), "index.php?sec=estado&sec2=operation/agentes/ver_agente&tab=alert&id_agente=42"),
            (View::Events("4&x=1"), "index.php?sec=eventos&sec2=operation/events/events&id_agent=4%26x%3D1"),
        ] {
            assert_eq!(link(&root, view).as_str(), format!("{root}{expected}"));
        }
    }
}
