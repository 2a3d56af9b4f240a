//! The outside world, behind ports. Each folder is a port (`mod.rs`: the trait, its value types) with one file or folder
//! per vendor, which brings its own configuration. Nothing here knows the engine, SQL, or which rollback it works for.

pub mod chat;
pub mod check;
pub mod client;
pub mod duration;
pub mod fault;
pub mod forge;
pub mod metrics;
pub mod pager;
pub mod probe;
mod program;
pub mod registry;
pub mod secret;
pub mod traffic;

pub use check::Check;
pub use client::BuildError;
pub use fault::Fault;
pub use secret::Secret;
