//! A Pandora FMS console as a [`Site`], through its API v1 (`include/api.php`). Facts are from consoles
//! 7.0NG.772, 7.0NG.776 and 1.0.0 (open) that were run; API v2 has no agents in it.
//!
//! - `api.rs`: how a request travels. `answer.rs`: what an answer is, by its content.
//! - `rows.rs` cuts a long answer into rows, `inventory.rs` reads them.
//! - `systems.rs`: names of operating systems. `planned.rs`: planned work. Both read seldom.
//! - `alerts.rs`: which alerts have fired.
//! - `modules.rs`: one agent's modules. `series.rs`: a module's values over time. `events.rs`: what happened.
//! - `probe.rs`: `check`. `link.rs`: the console's views.

mod alerts;
mod answer;
mod api;
#[cfg(test)]
mod checks;
mod events;
#[cfg(test)]
mod garbage;
mod hash_login;
mod inventory;
mod link;
mod modules;
mod planned;
mod probe;
mod rows;
mod series;
mod systems;
mod text;
mod version;

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use url::Url;

use self::api::{Api, Op};
use self::inventory::{Decoder, FIELDS};
use self::planned::Planned;
use self::systems::Systems;
use self::version::Version;
use super::decoding::{Decoding, INLINE};
use super::http::{Answer, Clients, Http};
use super::{
    About, Detail, Events, FiredReading, HashLogin, Places, PlannedWork, Reading, Series, Site, Step, StepResult, Tell,
    View,
};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config;
use crate::domain::{ErrorCode, SiteError};
use crate::inventory::{Builder, Full, Inventory};

/// One console.
#[derive(Debug)]
pub struct Pandora {
    api: Api,
    public_url: Url,
    insecure: bool,
    max_agents: usize,
    decoding: Arc<Decoding>,
    systems: Systems,
    planned: Planned,
    version: Version,
    places: Arc<Places>,
    clock: Clock,
}

impl Pandora {
    /// From its configuration, or why that cannot be used.
    pub fn new(
        site: &config::Site,
        clients: &Clients,
        decoding: Arc<Decoding>,
        clock: Clock,
    ) -> Result<Self, SiteError> {
        let http = Http::new(site, clients, clock)?;
        Ok(Self {
            api: Api::new(http, site.credentials.clone())?,
            public_url: site.public_url.clone(),
            insecure: site.tls.insecure,
            max_agents: site.max_agents,
            decoding,
            systems: Systems::default(),
            planned: Planned::default(),
            version: Version::default(),
            places: Arc::default(),
            clock,
        })
    }

    /// For a single question, which nobody asks the console's version beside.
    #[must_use]
    pub fn without_version(mut self) -> Self {
        self.version = Version::unwanted();
        self
    }

    /// In the places of an adapter of the same site that is still at work.
    #[must_use]
    pub fn with_places(mut self, places: Arc<Places>) -> Self {
        self.places = places;
        self
    }

    /// The step `tls` of a probe that got through.
    fn tls_state(&self) -> StepResult {
        if self.insecure {
            return StepResult::Warning(
                "any certificate is believed (`tls.insecure`): anybody between may read along".into(),
            );
        }
        StepResult::Ok("the certificate is good".to_owned())
    }

    async fn read(&self, deadline: Deadline) -> Result<Reading, SiteError> {
        let ask = |root, deadline| self.read_at(root, deadline).boxed();
        self.api.http.in_turn(deadline, ask).await
    }

    async fn read_at(&self, root: usize, deadline: Deadline) -> Result<Reading, SiteError> {
        let list = self.list(root, deadline).await;
        if list.as_ref().is_err_and(|error| error.code == ErrorCode::Auth) {
            // It is told without a login, and may explain why this one does not work.
            self.version.learn(&self.api, root, deadline).await;
        }
        let (builder, bytes, host, skew_ms) = list?;
        // Names only adorn the rows: they get a part of what is left, and never cost an inventory.
        let names = self.systems.names(&self.api, root, &builder, deadline.share(4));
        let (names, ()) = tokio::join!(names, self.version.learn(&self.api, root, deadline));
        let finish = move || builder.finish(|key| names.get(key).cloned());
        let inventory = self.decoding.run(deadline, finish).await?;
        let inventory = inventory.map_err(|full: Full| inventory::stopped_full(full, &host))?;
        Ok(Reading { inventory: Arc::new(inventory), bytes, skew_ms })
    }

    async fn fired_at(&self, root: usize, deadline: Deadline) -> Result<FiredReading, SiteError> {
        let op = Op::new("tree_agents").json().other(alerts::FIELDS);
        let mut answer = self.api.rows(root, &op, deadline).await?;
        let mut decoder = alerts::Decoder::new(self.max_agents, &answer.host, &answer.content_type, self.api.login());
        // Each piece is small, and others have their turn between two.
        while let Some(chunk) = answer.chunk().await? {
            decoder.feed(&chunk)?;
        }
        decoder.finish()
    }

    /// All agents without the names of their systems; bytes, host and clock skew of the answer.
    async fn list(&self, root: usize, deadline: Deadline) -> Result<(Builder, u64, String, Option<i64>), SiteError> {
        let op = Op::new("tree_agents").json().other(FIELDS);
        let answer = self.api.rows(root, &op, deadline).await?;
        let (host, skew_ms) = (answer.host.clone(), answer.skew_ms);
        let (builder, bytes) = self.decode(answer, deadline).await?;
        Ok((builder, bytes, host, skew_ms))
    }

    /// Decodes a list while it arrives: small pieces here, large ones in a place for it.
    async fn decode(&self, mut answer: Answer, deadline: Deadline) -> Result<(Builder, u64), SiteError> {
        let mut decoder = Decoder::new(self.max_agents, &answer, self.api.login());
        let mut piece: Vec<u8> = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            piece.extend_from_slice(&chunk);
            if piece.len() >= INLINE {
                let taken = std::mem::take(&mut piece);
                let work = move || decoder.feed(&taken).map(|()| decoder);
                decoder = self.decoding.run(deadline, work).await??;
            }
        }
        decoder.feed(&piece)?;
        Ok((decoder.finish()?, answer.bytes))
    }
}

impl Site for Pandora {
    fn inventory(&self, deadline: Deadline) -> BoxFuture<'_, Result<Reading, SiteError>> {
        self.read(deadline).boxed()
    }

    fn fired_alerts(&self, deadline: Deadline) -> BoxFuture<'_, Result<FiredReading, SiteError>> {
        let ask = |root, deadline| self.fired_at(root, deadline).boxed();
        async move { self.api.http.in_turn(deadline, ask).await }.boxed()
    }

    fn detail<'a>(
        &'a self,
        agent: &'a str,
        inventory: &'a Inventory,
        tell: Tell<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Detail, SiteError>> {
        let ask = move |root, deadline| {
            modules::detail((&self.api, root), &self.places, agent, inventory, tell, deadline).boxed()
        };
        async move { self.api.http.in_turn(deadline, ask).await }.boxed()
    }

    fn series<'a>(
        &'a self,
        module: &'a str,
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Series, SiteError>> {
        let range = series::Range { from, to, now: self.clock.now() };
        let ask = move |root, deadline| series::series(&self.api, root, module, range, deadline).boxed();
        async move {
            let _place = self.places.series(deadline).await?;
            self.api.http.in_turn(deadline, ask).await
        }
        .boxed()
    }

    fn events(&self, offset: u64, limit: u64, deadline: Deadline) -> BoxFuture<'_, Result<Events, SiteError>> {
        let ask = move |root, deadline| events::events(&self.api, root, offset, limit, deadline).boxed();
        async move {
            let _place = self.places.events(deadline).await?;
            self.api.http.in_turn(deadline, ask).await
        }
        .boxed()
    }

    fn planned_work(&self, deadline: Deadline) -> BoxFuture<'_, Result<Arc<[PlannedWork]>, SiteError>> {
        self.planned.get(&self.api, deadline).boxed()
    }

    fn probe<'a>(&'a self, tell: &'a mut (dyn FnMut(Step) + Send), deadline: Deadline) -> BoxFuture<'a, ()> {
        probe::probe(self, tell, deadline).boxed()
    }

    fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    fn about(&self) -> About {
        About { version: self.version.get(), certificate_ends: self.api.http.certificate_ends() }
    }

    fn link(&self, view: View<'_>) -> Url {
        link::link(&self.public_url, view)
    }

    fn hash_login(&self, view: View<'_>) -> Option<HashLogin> {
        hash_login::is_known(self.version.get().as_deref()).then(|| hash_login::hash_login(&self.public_url, view))
    }
}
