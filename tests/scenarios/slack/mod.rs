//! The whole conversation in Slack, as it reads there.

mod conversation;
mod world;
