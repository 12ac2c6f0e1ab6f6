//! A search, understood once: what the words ask for, and a canonical form that means the same.
//!
//! Words are ANDed. A word or `"quoted phrase"` is a substring of alias, name, address, groups or OS, without
//! regard to case or accents; `-word` excludes; `field:value` looks in one field, `field:a,b` takes either.
//! A mistake is an error that names the position and the remedy, never a silent guess.

mod parse;
mod typing;

use std::fmt;

pub use parse::{MAX_QUERY_BYTES, QueryError};

use super::agent::Status;
use super::fold::fold;

/// A parsed search. `Display` is its canonical form: parsing that gives the same query again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    terms: Vec<Term>,
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
    /// A substring of one field.
    In(TextField, Vec<String>),
    /// One of these states.
    Status(Vec<Status>),
    /// One of these sites.
    Site(Vec<String>),
    /// A site with one of these tags.
    Tag(Vec<String>),
    /// In one of these networks, or an address that begins so.
    Ip(Vec<IpPattern>),
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

    /// Understands a line that somebody is still typing: without its last word, where that is not finished.
    ///
    /// # Errors
    /// A mistake that no more letters would mend.
    pub fn half_typed(text: &str) -> Result<Self, QueryError> {
        Self::parse(text).or_else(|error| match typing::finished(text) {
            Some(finished) => Self::parse(finished),
            None => Err(error),
        })
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
        Self { terms }
    }

    /// Its conditions.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether a site can have hits at all, by its id and tags alone. A site that cannot is not asked.
    pub fn concerns(&self, site: &str, tags: &[String]) -> bool {
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
            if term.negated {
                f.write_str("-")?;
            }
            parse::write_term(&term.what, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
