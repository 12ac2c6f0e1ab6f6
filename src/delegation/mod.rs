//! Openings: the token `mc1`, the keys behind it, single use, and Pandora's own login hash.
//!
//! - **The token** ([`mint`], [`Verifier::verify`]): `mc1.<kid>.<payload>.<mac>`. The code covers the text as it travels,
//!   so nothing has to be put into a form first, and nothing is read before the code holds. No algorithm travels.
//! - **Keys** ([`MasterKey`], [`SiteKey`]): one for each site, purpose and key id, derived with HKDF-SHA256 from a master
//!   that never leaves the gateway. A site gets its own four.
//! - **Order**: length, structure, key id, code, JSON, issuer, audience, times, then the token's number is used up, then
//!   account, landing path, browser, and what the site itself demands. A token refused behind that step stays spent.
//! - **Single use** ([`UsedTokens`], [`Embedded`]): durable before success is told, no cache in front, and without its
//!   store nothing is accepted.
//! - **Pandora's hash** ([`pandora_login`]) never expires; it is made only where its weaknesses do not make it worse.

mod account;
mod again;
mod base64url;
mod called;
mod claims;
mod key_file;
mod keys;
mod pandora;
mod push;
mod sealed;
#[cfg(test)]
mod tests;
mod token;
mod used;
mod used_embedded;
mod verify;

pub use account::{is_account, is_header_account, is_landing_path};
pub use called::{Called, called};
pub use claims::{Amr, Claims};
pub use key_file::{KeyFileError, read_key_file};
pub use keys::{KeyError, MasterKey, Purpose, SiteKey, is_kid, new_master};
pub use pandora::{PandoraLogin, PandoraRefusal, pandora_login, secret_mark, strong_secret};
pub use push::{Call, push};
pub use sealed::{seal, unseal};
pub use token::{MintError, NewToken, mint, random_number, state_hash};
pub use used::{Use, UsedTokens};
pub use used_embedded::{Embedded, StoreError, usable};
pub use verify::{Opened, Policy, Refusal, Refused, Verifier, mc_token};
