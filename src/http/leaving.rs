//! The end of a session over HTTP: the consoles that were opened in it, on the page of the logout, and the calls to sites
//! that are to hear of it.
//!
//! A logout never waits for a site, and is never refused because of one: what cannot be read is said on the page.

use std::sync::Arc;

use super::Gateway;
use super::open_pages::escaped;
use crate::access::sessions::Live;
use crate::app::App;
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config;
use crate::domain::SiteId;
use crate::openings::{Console, End, Errand, TRIES, probe};
use crate::secret::Secret;

/// More are counted only.
const SHOWN: usize = 50;

/// Tells sites, in the background, what has ended there.
pub fn tell(gateway: &Arc<Gateway>, errands: Vec<Errand>) {
    for errand in errands {
        tokio::spawn(carry(Arc::clone(gateway), errand));
    }
}

async fn carry(gateway: Arc<Gateway>, errand: Errand) {
    for tries in 1..=TRIES {
        // By the configuration in force now: keys and addresses may be others than at the last try.
        let app = gateway.app.load_full();
        let Some(place) = gateway.openings.place().await else { return };
        let answer = match message(&app, &errand) {
            Ok((site, url, signed)) => {
                let deadline = Deadline::after(site.timeout);
                let header = (probe::HEADER, &signed);
                let answer = app.tell_verifier(site, &url, header, deadline).await;
                answer.map_err(|error| error.to_string())
            }
            Err(why) => {
                let (openings, errand) = (Arc::clone(&gateway.openings), errand.clone());
                drop(place);
                settled(move || openings.given_up(&errand, &why)).await;
                return;
            }
        };
        drop(place);
        let (openings, errand) = (Arc::clone(&gateway.openings), errand.clone());
        match settled(move || openings.answered(&errand, tries, answer)).await.flatten() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return,
        }
    }
}

/// What is written down waits for a disk.
async fn settled<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(act).await.ok()
}

type Message<'a> = (&'a config::Site, url::Url, Secret);

fn message<'a>(app: &'a App, errand: &Errand) -> Result<Message<'a>, String> {
    let site = app.config.sites.iter().find(|site| site.id == *errand.site());
    let site = site.ok_or_else(|| "the site is not configured any more".to_owned())?;
    let (url, signed) = errand.message(&app.config, site, Clock::System.now())?;
    Ok((site, url, signed))
}

/// Consoles that are open still from this session, as a page says it. Nothing where there are none.
pub(super) async fn open_still(gateway: &Arc<Gateway>, app: &Arc<App>, live: &Live) -> String {
    let (openings, known, live) = (Arc::clone(&gateway.openings), Arc::clone(app), live.clone());
    let look = move || openings.consoles(&known.config, &live.login, &live.began_as);
    match settled(look).await {
        Some(Ok(consoles)) => list(app, &consoles, "Consoles that you opened from here:"),
        _ => unknown(app),
    }
}

/// A session has ended, or all of its person: tells sites, and says on a page which consoles that concerns. Nothing where
/// there are none.
pub(super) async fn leave(gateway: &Arc<Gateway>, app: &Arc<App>, live: &Live, everywhere: bool) -> String {
    let (openings, known, live) = (Arc::clone(&gateway.openings), Arc::clone(app), live.clone());
    let (session, why) = if everywhere { (None, "logged out everywhere") } else { (Some(live.began_as), "logged out") };
    let end = move || openings.leave(&known.config, &live.login, session.as_deref(), why);
    match settled(end).await {
        Some(Ok((consoles, errands))) => {
            tell(gateway, errands);
            list(app, &consoles, "Consoles that you had opened from here:")
        }
        _ => unknown(app),
    }
}

/// Where nothing is ever opened there is nothing to say.
fn unknown(app: &App) -> String {
    let opens = |site: &config::Site| site.delegation.verifier != config::Verifier::None;
    if !app.config.sites.iter().any(opens) {
        return String::new();
    }
    tracing::error!("which consoles are open still cannot be found out; sites are not told of a logout");
    "<p role=\"alert\">Which consoles you opened from here cannot be found out now. Log out there, too.</p>".to_owned()
}

fn list(app: &App, consoles: &[Console], heading: &str) -> String {
    if consoles.is_empty() {
        return String::new();
    }
    let now = app.clock().now();
    let items: String = consoles.iter().take(SHOWN).map(|console| item(app, console, now)).collect();
    let more = match consoles.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("<p>And {more} more.</p>"),
    };
    format!("<p>{heading}</p><ul>{items}</ul>{more}")
}

fn item(app: &App, console: &Console, now: Timestamp) -> String {
    let site = app.config.sites.iter().find(|site| site.id == console.site);
    let name = site.map_or_else(|| SiteId::as_str(&console.site), |site| site.name.as_str());
    let ago = console.at.until(now).as_secs() / 60;
    let end = match (console.end, site) {
        (End::WithinAMinute, _) => "ends within a minute".to_owned(),
        (End::Told, _) => "the site is told to end it".to_owned(),
        (End::ByItself, None) => "goes on until it ends by itself".to_owned(),
        (End::ByItself, Some(site)) => format!(
            "goes on until it ends by itself: <a rel=\"noreferrer\" href=\"{}\">log out there</a>",
            escaped(site.public_url.as_str())
        ),
    };
    format!("<li>{} as {}, {ago} min ago: {end}</li>", escaped(name), escaped(&console.account))
}
