//! Which rows come first: a column, its direction, and the total order of rows that follows.
//!
//! Only the column itself is turned round by `-`; what breaks its ties stays as it is. Every order ends with site id,
//! agent id, so no two rows are equal, and a row's place can be kept, compared and continued from.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::domain::query::TextField;

/// How well a word matched. The order is best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchClass {
    /// The whole field.
    Exact,
    /// Its beginning.
    Prefix,
    /// The beginning of a word in it.
    WordStart,
    /// Anywhere.
    Substring,
}

/// How well an agent matched: the weakest class over the words, then the best field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Weakest match over the words of the query.
    pub class: MatchClass,
    /// Best field any word matched in.
    pub field: TextField,
}

/// What rows are sorted by first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Column {
    /// Best match, then worst status, then alias.
    #[default]
    Rank,
    /// Worst status, then alias.
    Status,
    /// Alias.
    Alias,
    /// Technical name.
    Name,
    /// Address, as a number; what is none comes last.
    Ip,
    /// Operating system.
    Os,
    /// Newest value first, then alias; who never reported is oldest.
    Age,
    /// Fewest modules first, then alias.
    Modules,
    /// Site, then alias.
    Site,
    /// Site, then agent id: exact for walking through all.
    Id,
}

/// Which rows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Order {
    /// The column.
    pub by: Column,
    /// Whether it is turned round.
    pub reversed: bool,
}

/// The words for orders; each may have a `-` before it.
const WORDS: &[(&str, Order)] = &[
    ("rank", Order::RANK),
    ("status", Order::STATUS),
    ("alias", Order::ALIAS),
    ("name", Order::NAME),
    ("ip", Order::by(Column::Ip)),
    ("os", Order::by(Column::Os)),
    ("age", Order::by(Column::Age)),
    ("modules", Order::by(Column::Modules)),
    ("site", Order::by(Column::Site)),
    ("id", Order::ID),
    ("last_contact", Order { by: Column::Age, reversed: true }),
];

impl Order {
    /// Best match first.
    pub const RANK: Self = Self::by(Column::Rank);
    /// Worst status first.
    pub const STATUS: Self = Self::by(Column::Status);
    /// By alias.
    pub const ALIAS: Self = Self::by(Column::Alias);
    /// By technical name.
    pub const NAME: Self = Self::by(Column::Name);
    /// By site and agent id.
    pub const ID: Self = Self::by(Column::Id);

    /// By this column, not turned round.
    pub const fn by(by: Column) -> Self {
        Self { by, reversed: false }
    }

    /// Every order that is not turned round, as written.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// The order of two rows, from their keys and what breaks the last ties.
    pub fn compare(
        self,
        a: Key<'_>,
        b: Key<'_>,
        sites: impl FnOnce() -> Ordering,
        ids: impl FnOnce() -> Ordering,
    ) -> Ordering {
        let turned = |order: Ordering| if self.reversed { order.reverse() } else { order };
        let texts = || a.text.cmp(b.text);
        let keys = match self.by {
            Column::Id => return turned(sites().then_with(ids)),
            Column::Site => return turned(sites()).then_with(texts).then_with(ids),
            Column::Alias | Column::Name | Column::Os => turned(texts()),
            Column::Rank => turned(a.rank.cmp(&b.rank)).then(a.number.cmp(&b.number)).then_with(texts),
            Column::Status | Column::Ip | Column::Age | Column::Modules => {
                turned(a.number.cmp(&b.number)).then_with(texts)
            }
        };
        keys.then_with(sites).then_with(ids)
    }
}

/// No order has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such order; write one of {}, with a `-` before it for the other way round", Order::words().collect::<Vec<_>>().join(", "))]
pub struct UnknownOrder;

impl FromStr for Order {
    type Err = UnknownOrder;

    fn from_str(text: &str) -> Result<Self, UnknownOrder> {
        let (word, turned) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
        let (_, order) = WORDS.iter().find(|(known, _)| *known == word).ok_or(UnknownOrder)?;
        Ok(Self { reversed: order.reversed != turned, ..*order })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, order)| order.by == self.by).map_or("", |(word, _)| *word);
        write!(f, "{}{word}", if self.reversed { "-" } else { "" })
    }
}

/// A row's place within its order. Keys of one [`Order`] are comparable, whatever sites they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// How well it matches, where that counts.
    pub rank: Option<Rank>,
    /// Severity, age, address or count, where that counts.
    pub number: u128,
    /// A folded text.
    pub text: &'a str,
}

/// A [`Key`] that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// How well it matches, where that counts.
    pub rank: Option<Rank>,
    /// Severity, age, address or count, where that counts.
    pub number: u128,
    /// A folded text.
    pub text: String,
}

impl SortKey {
    /// To be compared.
    pub fn key(&self) -> Key<'_> {
        Key { rank: self.rank, number: self.number, text: &self.text }
    }
}

/// Where a row stands that has been shown; the next ones come behind it.
#[derive(Clone, Copy, Debug)]
pub struct After<'a> {
    /// Its key.
    pub key: Key<'a>,
    /// How the id of the inventory's site compares to that of the row's site.
    pub site: Ordering,
    /// The row's agent id.
    pub id: &'a str,
}

/// Ids in the order of numbers where they are numbers.
pub fn compare_ids(a: &str, b: &str) -> Ordering {
    let number = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if number(a) && number(b) {
        let bare = |id: &str| id.trim_start_matches('0').len();
        bare(a).cmp(&bare(b)).then_with(|| a.trim_start_matches('0').cmp(b.trim_start_matches('0'))).then(a.cmp(b))
    } else {
        a.cmp(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_written_as_they_are_read() {
        for word in Order::words().filter(|word| *word != "last_contact") {
            for text in [word.to_owned(), format!("-{word}")] {
                assert_eq!(text.parse::<Order>().unwrap().to_string(), text);
            }
        }
        assert_eq!("last_contact".parse::<Order>().unwrap().to_string(), "-age");
        assert_eq!("-last_contact".parse::<Order>().unwrap().to_string(), "age");
        for wrong in ["", "-", "--id", "best", "Rank"] {
            assert!(wrong.parse::<Order>().unwrap_err().to_string().contains("rank, status, alias"), "{wrong}");
        }
    }
}
