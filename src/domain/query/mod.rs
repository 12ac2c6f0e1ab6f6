//! A search, understood once: what the words ask for, and a canonical form that means the same.
//!
//! Words are ANDed. A word or `"quoted phrase"` is a substring of alias, name, address, groups or OS, without
//! regard to case or accents; `-word` excludes; `field:value` looks in one field, `field:a,b` takes either,
//! `name:/regex/` matches a pattern. A mistake is an error that names the position and the remedy, never a silent guess.
//!
//! What is not known fulfils nothing: where a site's alerts are not known, neither `alert:fired` nor `-alert:fired`
//! holds. An age is always known: an agent that never reported is old.

mod age;
mod contradiction;
mod fields;
mod parse;
mod partial;
mod pattern;
mod write;

use std::fmt;

pub use age::AgeBound;
pub use fields::FIELD_NAMES;
pub use parse::{MAX_QUERY_BYTES, QueryError};
pub use partial::{Partial, Piece};
pub use pattern::Pattern;
pub use write::quoted;

use super::agent::Status;
use super::fold::fold;

/// A parsed search. `Display` is its canonical form: parsing that gives the same query again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    terms: Vec<Term>,
    /// Follows from the terms.
    contradicts: bool,
}

/// One condition; all of a query's must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term {
    /// Whether what it asks for must be absent.
    pub negated: bool,
    /// What it asks for.
    pub what: What,
}

/// What a term asks for. Texts are folded; a list means "one of".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// A substring of any searched field.
    Text(String),
    /// A whole alias or name. Not part of the language: it is what `where` asks.
    Named(String),
    /// A substring of one field, or a pattern that matches it.
    In(TextField, Vec<Part>),
    /// One of these states.
    Status(Vec<Status>),
    /// One of these sites.
    Site(Vec<String>),
    /// A site with one of these tags.
    Tag(Vec<String>),
    /// In one of these networks, or an address that begins so.
    Ip(Vec<IpPattern>),
    /// Within one of these ages.
    Age(Vec<AgeBound>),
    /// An alert has fired.
    Alert,
}

/// A value of a text field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Is in it.
    Text(String),
    /// Matches it.
    Pattern(Pattern),
}

/// A text field of an agent, best first: a hit in the alias ranks above one in the OS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextField {
    /// Shown name.
    Alias,
    /// Technical name.
    Name,
    /// Main address.
    Address,
    /// Names of its groups.
    Group,
    /// Operating system.
    Os,
}

/// A value of `ip:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpPattern {
    /// `10.1.0.0/16`, or one whole address.
    Network(ipnet::IpNet),
    /// The beginning of an address as written.
    Prefix(String),
}

impl Query {
    /// Understands a search line. An empty one asks for everything.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::parse(text).map(Self::of)
    }

    /// Asks for the agents whose whole alias or name is this one, folded.
    pub fn named(name: &str) -> Self {
        Self::of(vec![Term { negated: false, what: What::Named(fold(name)) }])
    }

    /// The values of `site:` and `tag:` that fit none of these sites (id, tags): typing mistakes, most likely.
    pub fn nowhere<'a>(&'a self, sites: &[(&str, &[String])]) -> Vec<(&'static str, &'a str)> {
        let is_tag = |value: &str| sites.iter().any(|(_, tags)| tags.iter().any(|tag| fold(tag) == value));
        let mut nowhere = Vec::new();
        for term in &self.terms {
            match &term.what {
                What::Site(ids) => {
                    let unknown = ids.iter().filter(|id| !sites.iter().any(|(site, _)| site == id));
                    nowhere.extend(unknown.map(|id| ("site", id.as_str())));
                }
                What::Tag(tags) => {
                    nowhere.extend(tags.iter().filter(|tag| !is_tag(tag)).map(|tag| ("tag", tag.as_str())));
                }
                _ => {}
            }
        }
        nowhere
    }

    fn of(mut terms: Vec<Term>) -> Self {
        terms.sort();
        terms.dedup();
        let contradicts = contradiction::is_in(&terms);
        Self { terms, contradicts }
    }

    /// Understands a line that is being typed. Nothing in it is a mistake.
    pub fn parse_partial(text: &str) -> Partial {
        partial::parse(text)
    }

    /// Its conditions.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether an agent's place in the answer can change although nothing was read: it asks for an age.
    pub fn depends_on_time(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.what, What::Age(_)))
    }

    /// Whether it needs to know which alerts have fired.
    pub fn asks_alerts(&self) -> bool {
        self.terms.iter().any(|term| term.what == What::Alert)
    }

    /// Whether its conditions exclude each other, so that no agent anywhere fulfils them.
    pub fn contradicts(&self) -> bool {
        self.contradicts
    }

    /// Whether a site can have hits at all, by its id and tags alone. A site that cannot is not asked. (Which states
    /// its agents are in is not known without reading it, so `status:` rules a site out only where it contradicts
    /// itself.)
    pub fn concerns(&self, site: &str, tags: &[String]) -> bool {
        !self.contradicts && self.concerns_by_name(site, tags)
    }

    fn concerns_by_name(&self, site: &str, tags: &[String]) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.what {
                What::Site(ids) => ids.iter().any(|id| id == site),
                What::Tag(wanted) => tags.iter().any(|tag| wanted.contains(&fold(tag))),
                _ => return true,
            };
            holds != term.negated
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("-")?;
        }
        write::term(&self.what, f)
    }
}

#[cfg(test)]
mod tests;
