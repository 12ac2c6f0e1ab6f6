//! The pages in a real Chromium: what people see, by keys and eyes, in front of real gateways and consoles.
//!
//! `scripts/test` installs what this needs. One browser at a time: a machine has few cores, and pages have clocks.

mod access;
mod agent;
mod audit;
mod direct;
mod driver;
mod gate;
mod hostile;
mod opening;
mod opening_pages;
mod opening_world;
mod pages;
mod people;
mod pictures;
mod search;
mod sites;
mod stages;
mod strips;
mod subpath;
mod table;
mod watch;
