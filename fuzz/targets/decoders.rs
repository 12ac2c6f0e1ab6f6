//! The fuzzer's way to what decodes a console's small answers and its alerts (`src/sites/pandora/checks.rs`). The
//! product's own files are compiled in; only what would carry a request over the network is not.
#![no_main]
#![allow(dead_code, unused_imports, reason = "a part of the product, not all of it is used here")]

#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/domain/mod.rs"]
mod domain;
#[path = "../../src/inventory/mod.rs"]
mod inventory;

#[path = "../../src/sites"]
mod sites {
    mod places;
    mod records;

    pub use places::Places;
    pub use records::*;

    pub mod http {
        //! An answer's head.
        #[derive(Debug)]
        pub struct Answer {
            pub host: String,
            pub content_type: String,
        }
    }

    pub mod pandora {
        mod alerts;
        mod answer;
        mod checks;
        mod events;
        mod inventory;
        mod modules;
        mod rows;
        mod series;
        mod text;

        pub fn decoders(data: &[u8]) {
            checks::decoders(data);
        }

        mod api {
            //! Has the form of the real one, and asks nobody.
            use super::answer::{Login, Sentence};
            use crate::clock::Deadline;
            use crate::domain::{ErrorCode, SiteError};

            #[derive(Debug)]
            pub(super) struct Api;

            pub(super) struct Op;

            impl Op {
                pub(super) fn new(_: &str) -> Self {
                    Self
                }
                pub(super) fn json(self) -> Self {
                    self
                }
                pub(super) fn id(self, _: &str) -> Self {
                    self
                }
                pub(super) fn other(self, _: &str) -> Self {
                    self
                }
            }

            pub(super) enum Reply<T> {
                Value(T),
                Sentence(Sentence),
                Empty500,
            }

            impl<T> Reply<T> {
                pub(super) fn value(self, _: Login, _: &str) -> Result<T, SiteError> {
                    Err(nobody())
                }
            }

            fn nobody() -> SiteError {
                SiteError::new(ErrorCode::Unreachable, "nobody is asked here")
            }

            impl Api {
                pub(super) fn login(&self) -> Login {
                    Login::Token
                }
                pub(super) async fn small<T>(
                    &self,
                    _: usize,
                    _: &Op,
                    _: Deadline,
                    _: impl FnOnce(&[u8]) -> Option<T>,
                ) -> Result<Reply<T>, SiteError> {
                    Err(nobody())
                }
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| sites::pandora::decoders(data));
