//! lastgood: brings the last known-good version back, from an incident channel.

pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod inbound;
pub mod render;
pub mod service;
pub mod store;
