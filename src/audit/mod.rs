//! The audit log: who opened, logged in, was refused or changed what. Append-only, hash-chained, durable before it counts.
//!
//! - **Form**: JSON lines in segments `audit-<first seq>.jsonl`. Each line carries `prev`, the SHA-256 of the whole line
//!   before it without its line feed (64 zeros before the first); the chain goes on over segments.
//! - **Durable first**: [`Log::append`] returns success when the line is on the disk. What waits at the same time shares
//!   one flush. When it fails, the caller refuses the action; the log goes on failing until a write works again, and a
//!   line whose write failed is cut off before the next one.
//! - **One writer**: a lock on `audit.lock`, held as long as the process lives.
//! - **A torn end** (kill -9, power) is cut off at the next start, kept aside in `torn-<seq>.part`, and recorded. A line
//!   that is whole but does not follow is no torn end: then the log does not open, since somebody changed it.
//! - **Nothing secret**: records are built from ids, names and words; whatever looks like a token or hash is masked.

mod batch;
mod chain;
mod disk;
mod log;
mod read;
mod record;
mod segments;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use batch::Batcher;
pub use chain::{Break, Chain, Head, HeadError};
pub use log::{AppendError, Log, State};
pub use read::{Entry, Filter, Newest, ReadError, newest};
pub use record::{Action, JtiDigest, Opening, Record};
pub use segments::{OpenError, Verified, VerifyError, verify_files, verify_folder};
pub use writer::Limits;
