//! The whole conversation in Slack, as it reads there.

mod commands;
mod conversation;
mod failure;
mod heard;
mod load;
mod people;
mod standin;
mod world;
