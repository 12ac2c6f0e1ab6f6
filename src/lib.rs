//! One pane over many independent monitoring installations. See `docs/architecture.md` for the map.

pub mod access;
pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delegation;
pub mod demo;
pub mod domain;
pub mod federation;
pub mod gate;
pub mod http;
pub mod inventory;
pub mod kept;
pub mod openings;
pub mod remote;
pub mod secret;
pub mod serve;
pub mod sites;
pub mod telemetry;
pub mod verifier;
pub mod wire;
