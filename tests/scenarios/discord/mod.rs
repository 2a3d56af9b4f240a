//! The whole conversation in Discord, as it reads there.

mod check;
mod commands;
mod conversation;
mod failure;
mod heard;
mod people;
mod standin;
mod world;

pub use world::{ROOM, Way, World, nothing_refused, section, snapshot_in};
