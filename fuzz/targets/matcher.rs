//! The fuzzer's way to [`checks::matcher`]. The product's own files are compiled in, so that only they are measured.
#![no_main]
#![allow(dead_code, unused_imports, reason = "a part of the product, not all of it is used here")]

#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/domain/mod.rs"]
mod domain;
#[path = "../../src/inventory/mod.rs"]
mod inventory;

mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::matcher(data));
