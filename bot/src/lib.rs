//! lastgood: brings the last known-good version back, from an incident channel.

pub mod app;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod desk;
pub mod engine;
pub mod follow;
pub mod http;
pub mod inbound;
pub mod render;
pub mod service;
pub mod store;
pub mod telemetry;
