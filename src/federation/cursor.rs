//! Where a page of rows ends, so that the next begins behind it. No state is kept for it.
//!
//! A cursor is the place of the last row shown (its key in the order, its site, its id), a hash of the query and order
//! it belongs to, and a checksum, as one word of a URL. It is no secret and gives no right: it only says where to begin,
//! and what may be seen is decided anew for every page. So a forged one can leave out rows, never show more. Because it
//! is a place and no number of rows, a row whose key stays the same is seen exactly once, whatever comes, goes or moves
//! meanwhile; one whose key changes may be missed or seen twice. `sort=id` has keys that never change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::merge::Row;
use crate::domain::query::TextField;
use crate::domain::{Query, SiteId};
use crate::inventory::{After, Key, MatchClass, Order, Rank, SortKey};

/// Longer ones are not ours: texts of agents are cut at 1 KiB, and folding makes them at most three times as long.
const LONGEST: usize = 8 << 10;

const VERSION: u8 = 1;

const CLASSES: [MatchClass; 4] = [MatchClass::Exact, MatchClass::Prefix, MatchClass::WordStart, MatchClass::Substring];
const FIELDS: [TextField; 5] = [TextField::Alias, TextField::Name, TextField::Address, TextField::Group, TextField::Os];

/// A row's place in an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    key: SortKey,
    site: SiteId,
    agent: String,
}

/// Why a cursor is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is none of ours, or was altered.
    #[error("`cursor` is not what the last page gave")]
    Malformed,
    /// It is of another query or order.
    #[error("`cursor` belongs to another search or order")]
    Foreign,
}

impl Place {
    /// Of a row.
    pub fn of(row: &Row) -> Self {
        Self { key: row.hit.key.clone(), site: row.site.clone(), agent: row.hit.agent.id.clone() }
    }

    /// As seen from the inventory of a site.
    pub(super) fn after(&self, site: &SiteId) -> After<'_> {
        let key: Key<'_> = self.key.key();
        After { key, site: site.cmp(&self.site), id: &self.agent }
    }

    /// As a word of a URL, for the next page of this query in this order.
    pub fn cursor(&self, query: &Query, order: Order) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(belongs_to(query, order).to_le_bytes());
        bytes.push(self.key.rank.map_or(u8::MAX, number_of));
        bytes.extend(self.key.number.to_le_bytes());
        for text in [self.site.as_str(), &self.agent, &self.key.text] {
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(hash(&bytes).to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From a word that [`Place::cursor`] gave for the same query and order.
    ///
    /// # Errors
    /// When it did not.
    pub fn read(cursor: &str, query: &Query, order: Order) -> Result<Self, CursorError> {
        if cursor.len() > LONGEST {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError::Malformed)?;
        let (content, sum) = bytes.split_last_chunk::<8>().ok_or(CursorError::Malformed)?;
        if u64::from_le_bytes(*sum) != hash(content) {
            return Err(CursorError::Malformed);
        }
        let (belongs, place) = decode(content).ok_or(CursorError::Malformed)?;
        if belongs != belongs_to(query, order) {
            return Err(CursorError::Foreign);
        }
        Ok(place)
    }
}

fn decode(content: &[u8]) -> Option<(u64, Place)> {
    let mut rest = content.strip_prefix(&[VERSION])?;
    let belongs = u64::from_le_bytes(take(&mut rest)?);
    let [rank] = take(&mut rest)?;
    let rank = if rank == u8::MAX { None } else { Some(rank_of(rank)?) };
    let number = u128::from_le_bytes(take(&mut rest)?);
    let (site, agent, text) = (take_text(&mut rest)?, take_text(&mut rest)?, take_text(&mut rest)?);
    let key = SortKey { rank, number, text };
    rest.is_empty().then_some((belongs, Place { key, site: site.parse().ok()?, agent }))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*bytes)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

fn number_of(rank: Rank) -> u8 {
    let class = CLASSES.iter().position(|class| *class == rank.class).unwrap_or(0);
    let field = FIELDS.iter().position(|field| *field == rank.field).unwrap_or(0);
    u8::try_from(class * FIELDS.len() + field).unwrap_or(0)
}

fn rank_of(number: u8) -> Option<Rank> {
    let number = usize::from(number);
    Some(Rank { class: *CLASSES.get(number / FIELDS.len())?, field: *FIELDS.get(number % FIELDS.len())? })
}

fn belongs_to(query: &Query, order: Order) -> u64 {
    hash(format!("{order}\0{query}").as_bytes())
}

/// FNV-1a, 64 bits: the same in every version and on every gateway. Against mistakes; nothing rests on it.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        let rank = proptest::option::of((0u8..20).prop_map(|number| rank_of(number).unwrap()));
        (rank, any::<u128>(), "\\PC{0,30}", "[a-z]{1,9}", "\\PC{0,9}").prop_map(|(rank, number, text, site, agent)| {
            Place { key: SortKey { rank, number, text }, site: site.parse().unwrap(), agent }
        })
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_and_any_change_of_it_is_noticed(
            place in places(),
            at in any::<proptest::sample::Index>(),
            other in "[A-Za-z0-9_-]",
        ) {
            let (web, db) = (Query::parse("web").unwrap(), Query::parse("db").unwrap());
            let cursor = place.cursor(&web, Order::ALIAS);
            prop_assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
            prop_assert_eq!(Place::read(&cursor, &web, Order::ALIAS), Ok(place.clone()));
            prop_assert_eq!(Place::read(&cursor, &db, Order::ALIAS), Err(CursorError::Foreign));
            prop_assert_eq!(Place::read(&cursor, &web, Order::STATUS), Err(CursorError::Foreign));
            let at = at.index(cursor.len());
            let altered = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
            if altered != cursor {
                prop_assert_eq!(Place::read(&altered, &web, Order::ALIAS), Err(CursorError::Malformed));
            }
            prop_assert_eq!(Place::read(&cursor[..at], &web, Order::ALIAS), Err(CursorError::Malformed));
        }

        #[test]
        fn any_word_is_read_or_refused(word in "[A-Za-z0-9_=-]{0,200}", noise in any::<Vec<u8>>()) {
            let query = Query::parse("").unwrap();
            prop_assert!(Place::read(&word, &query, Order::RANK).is_err());
            let mut bytes = noise;
            bytes.extend(hash(&bytes).to_le_bytes());
            let _ = Place::read(&URL_SAFE_NO_PAD.encode(bytes), &query, Order::RANK);
        }
    }
}
