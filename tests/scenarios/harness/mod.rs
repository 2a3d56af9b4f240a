//! The harness's own tests: what the scenarios rely on must be as nasty as it says.

mod chat;
mod database;
mod lossy;
mod shop;
