//! The words of the product, as types without I/O.
//!
//! A **site** is one independent installation. An **agent** is one monitored thing on it, keyed by
//! (site id, agent id), never by name. A **module** is one measured value of an agent. **Status** is ordered by
//! severity; an agent's is the worst of its enabled modules'. An **outcome** is what one site contributed to one
//! answer; a **report** is the merged answer with one outcome for every site the viewer may see.

mod agent;
mod fold;
mod outcome;
pub mod query;
mod site;

pub use agent::{Agent, Status, StatusCounts};
pub use fold::{fold, fold_into};
pub use outcome::{Completeness, Contribution, Failure, Outcome};
pub use query::Query;
pub use site::{ErrorCode, SiteError, SiteId, SiteIdError, SiteKind};
