//! The fuzzer's way to [`doors::opening`]. The product's own files are compiled in, so that only they are measured.
#![no_main]
#![allow(dead_code, unused_imports, reason = "a part of the product, not all of it is used here")]

#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/delegation/mod.rs"]
mod delegation;
#[path = "../../src/secret.rs"]
mod secret;
#[path = "../../src/openings/view.rs"]
mod view;

mod openings {
    pub(crate) use super::view::{is_number, is_state, view};
}

/// What `view` names of the rest of the product.
mod sites {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum View<'a> {
        Home,
        Agent(&'a str),
        Modules(&'a str),
        Alerts(&'a str),
        Events(&'a str),
        Graphs(&'a str),
    }
}

mod doors;

libfuzzer_sys::fuzz_target!(|data: &[u8]| doors::opening(data));
