//! The whole conversation in Slack, as it reads there.

mod check;
mod commands;
mod conversation;
mod failure;
mod heard;
mod kept;
mod load;
mod people;
mod standin;
mod world;

pub use world::{ROOM, Way, World, section, snapshot_in};
