//! Asking many sites one question: all at once, each with its own end, every one accounted for.
//!
//! A question goes to a [`View`], which already holds the sites and groups its viewer may see; what is outside does
//! not exist from here on. [`View::ask`] starts one task per site and hands out [`SiteAnswer`]s as they end. No
//! answer is an error: a site that is slow, broken or gone is an outcome with its reason. Dropping the answers stops
//! every task. `merge.rs` folds them, in whatever order they come, into one [`Report`].

mod call;
mod merge;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

pub use call::SiteAnswer;
pub use merge::{Merge, Report, Row};

use crate::clock::{Clock, Deadline};
use crate::domain::{ErrorCode, Query, SiteError, SiteId};
use crate::inventory::{Order, Visible};
use crate::sites::Site;

/// One site of the federation.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub id: SiteId,
    /// As people call it.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// Life of a read of it.
    pub timeout: Duration,
    /// What answers for it; or why nothing can (its settings are unusable, or it is paused).
    pub site: Result<Arc<dyn Site>, SiteError>,
}

/// All sites.
#[derive(Debug)]
pub struct Federation {
    members: Vec<Arc<Member>>,
    clock: Clock,
}

/// What is asked of every site.
#[derive(Clone, Debug)]
pub struct Question {
    /// The conditions.
    pub query: Query,
    /// Which rows are best.
    pub order: Order,
    /// At most so many rows of a site.
    pub limit: usize,
    /// The asker's patience.
    pub patience: Duration,
}

/// The federation as one viewer may see it.
#[derive(Debug)]
pub struct View<'a> {
    members: Vec<(&'a Arc<Member>, Visible)>,
    clock: Clock,
}

/// The answers of all sites, in the order in which they come.
#[derive(Debug)]
pub struct Answers {
    tasks: JoinSet<SiteAnswer>,
    /// Whose a task is, for the one that ends without an answer.
    asked: HashMap<Id, SiteId>,
    clock: Clock,
}

impl Federation {
    /// Of these sites.
    pub fn new(members: Vec<Member>, clock: Clock) -> Self {
        Self { members: members.into_iter().map(Arc::new).collect(), clock }
    }

    /// Its sites, in the order of the configuration.
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// As somebody sees it who may see everything.
    pub fn everything(&self) -> View<'_> {
        let members = self.members.iter().map(|member| (member, Visible::All)).collect();
        View { members, clock: self.clock }
    }
}

impl View<'_> {
    /// Asks all sites at once.
    pub fn ask(&self, question: &Question) -> Answers {
        let question = Arc::new(question.clone());
        let deadline = Deadline::after(question.patience);
        let mut answers = Answers { tasks: JoinSet::new(), asked: HashMap::new(), clock: self.clock };
        for (member, visible) in &self.members {
            let call = call::Call {
                member: Arc::clone(member),
                visible: visible.clone(),
                question: Arc::clone(&question),
                deadline,
                clock: self.clock,
            };
            let task = answers.tasks.spawn(call.answer());
            answers.asked.insert(task.id(), member.id.clone());
        }
        answers
    }

    /// Asks all sites and waits for the merged answer.
    pub async fn report(&self, question: &Question) -> Report {
        let mut answers = self.ask(question);
        let mut merge = Merge::new(question);
        while let Some(answer) = answers.next().await {
            merge.fold(answer);
        }
        merge.finish()
    }
}

impl Answers {
    /// How many have not come yet.
    pub fn pending(&self) -> usize {
        self.tasks.len()
    }

    /// The next answer; `None` after the last.
    pub async fn next(&mut self) -> Option<SiteAnswer> {
        match self.tasks.join_next_with_id().await? {
            Ok((_, answer)) => Some(answer),
            Err(crash) => {
                // A fault of ours; the site is missing all the same, and is named.
                let site = self.asked.get(&crash.id())?.clone();
                let error = SiteError::new(ErrorCode::BadAnswer, "reading it failed by a fault of this program");
                Some(SiteAnswer::failed(site, error.remedy("please report it"), Duration::ZERO, self.clock.now()))
            }
        }
    }
}
