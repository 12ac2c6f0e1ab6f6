//! What integration tests share.

pub(crate) mod browser;
pub(crate) mod forged;
pub(crate) mod gateway;
pub(crate) mod php;
pub(crate) mod program;
pub(crate) mod replay;
pub(crate) mod running;
