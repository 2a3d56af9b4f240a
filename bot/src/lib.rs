//! lastgood: brings the last known-good version back, from an incident channel.

pub mod clock;
pub mod engine;
pub mod service;
pub mod store;
