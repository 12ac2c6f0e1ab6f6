//! At the start: the sites whose login-hash secret must change, because somebody who was given such a hash has lost the
//! right while this process was not there to see it.

use crate::http::Gateway;
use crate::openings::former;

/// Warns of them, once the audit log is read. That takes as long as the log is, and nobody waits for it.
pub(super) fn warn(gateway: &Gateway) {
    let app = gateway.app.load_full();
    let Some(folder) = app.config.gateway.state_dir.as_ref().map(|folder| folder.join("audit")) else { return };
    let _on_its_own = tokio::task::spawn_blocking(move || match former::by_log(&folder, &app.config) {
        Ok(former) => {
            for (site, logins) in &former {
                tracing::warn!(%site, "{}", former::told(site, logins));
            }
        }
        Err(error) => tracing::warn!(%error, "whether a site's login-hash secret must change is not known"),
    });
}
