//! Stand-ins for what can't run here, written from the published documentation: strict where the real one is strict, and
//! nasty: slow, rate-limiting, dropping answers.

pub mod argo_cd;
pub mod argo_rollouts;
pub mod chat;
pub mod data_plane;
pub mod discord;
pub mod forge;
mod losses;
pub mod pagerduty;
pub mod shifter;
pub mod slack;
