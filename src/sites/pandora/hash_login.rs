//! Where Pandora's own hash login may land.
//!
//! A console copies the fields of a POST into links of the page it answers with: into those of the automatic refresh, on
//! every page that the account has in its refresh list, and into those of paging (seen in 7.0NG.776: events, and monitors with
//! a filter; `general/header.php` and `ui_pagination` there). With the hash in them, a login that never ends would stand in addresses, and so in histories
//! and logs. So a login lands only where neither can be:
//!
//! - the pages of one agent: not offered for the refresh list, and their lists have no paging by links;
//! - the console's standard first page, by its name. Without a name it would be the page that the account chose.
//!
//! Events are in the refresh list of whoever wants them there. A login for them lands on the agent's page, and the events
//! are gone to by a plain link.
//!
//! The session needs the `x`: a console where somebody is logged in looks for the name `loginhash_data` in the address, and
//! only then takes the login; the value that it reads is the form's (seen in 772 and 776).

use url::Url;

use super::link::link;
use crate::sites::{HashLogin, View};

/// Whether a console of this version has the login. 1.0.0 has not, and its login page repeats the form in hidden fields.
pub(super) fn is_known(version: Option<&str>) -> bool {
    version.is_none_or(|version| !version.starts_with("1."))
}

/// The login for a view.
pub(super) fn hash_login(root: &Url, view: View<'_>) -> HashLogin {
    let (landing, onward) = match view {
        View::Home => (named(root, "sec=general/logon_ok&sec2=general/logon_ok"), None),
        View::Agent(_) | View::Modules(_) | View::Alerts(_) | View::Graphs(_) => (link(root, view), None),
        View::Events(id) => (link(root, View::Agent(id)), Some(link(root, view))),
    };
    let query = format!("loginhash=auto&loginhash_data=x&{}", landing.query().unwrap_or_default());
    let mut action = landing;
    action.set_query(Some(&query));
    HashLogin { action, onward }
}

fn named(root: &Url, query: &str) -> Url {
    let mut url = root.clone();
    url.set_path(&format!("{}index.php", root.path()));
    url.set_query(Some(query));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_consoles_that_are_known_not_to_have_it_are_left_out() {
        assert!(is_known(None) && is_known(Some("v7.0NG.776 - PC240328 MR69")));
        assert!(!is_known(Some("1.0.0 - PC260301 MR69")));
    }

    #[test]
    fn logins_land_where_the_form_is_not_repeated() {
        let root = Url::parse("https://a.example/pandora_console/").unwrap();
        let agent = "sec=estado&sec2=operation/agentes/ver_agente";
        for (view, landing, onward) in [
            (View::Home, "sec=general/logon_ok&sec2=general/logon_ok", None),
            (View::Agent("42"), &format!("{agent}&id_agente=42"), None),
            (View::Graphs("42"), &format!("{agent}&tab=graphs&id_agente=42"), None),
            (
                View::Events("42"),
                &format!("{agent}&id_agente=42"),
                Some("sec=eventos&sec2=operation/events/events&id_agent=42"),
            ),
        ] {
            let login = hash_login(&root, view);
            let start = format!("{root}index.php?");
            assert_eq!(login.action.as_str(), format!("{start}loginhash=auto&loginhash_data=x&{landing}"));
            assert_eq!(login.onward.map(String::from), onward.map(|query| format!("{start}{query}")));
        }
    }
}
