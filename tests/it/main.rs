//! The one integration test binary: everything from outside, through the public interface and the real program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml allows it only inside the test functions themselves"
)]

mod alerts;
mod architecture;
mod attacks;
mod audit;
mod audited;
mod audited_faults;
mod bad_sites;
mod browser;
mod bulk;
mod command_line;
mod config_errors;
mod connections;
mod crowds;
mod demo;
mod demo_faults;
mod details;
mod direct;
mod floods;
mod forms;
mod fuzzed;
mod gate;
mod grants;
mod house;
mod http_clients;
mod http_edge;
mod http_errors;
mod http_pages;
mod http_search;
mod http_states;
mod http_stream;
mod kept;
mod keys;

mod leaving;
mod modules;
mod nginx;
mod odd_answers;
mod openings;
mod openings_reload;
mod password;
mod people;
mod planned;
mod recordings;
mod redirects;
mod remote;
mod replayed;
mod rights;
mod search_doc;
mod serve;
mod serve_login;
mod serve_viewers;
mod slots;
mod slots_kept;
mod support;
mod unseen;
mod walk;
mod walls;
