//! lastgood brings the last known-good version back, from an incident channel.

pub mod demo;
pub mod render;
