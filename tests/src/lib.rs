//! The harness: real programs on ports of their own, strict stand-ins for what can't run here, and the means to read what
//! happened. Scenarios are in `scenarios/`.

pub mod binary;
pub mod client;
pub mod database;
pub mod discord_clients;
pub mod kubernetes_clients;
pub mod lossy;
pub mod process;
pub mod real;
pub mod rigs;
pub mod shop;
pub mod slack_clients;
pub mod standin;
