//! The whole chain: customers, HAProxy, Prometheus, Alertmanager, the bot, the registry, PagerDuty, and people in a chat.
//! Every scenario reads as what people do; the world is read back by the test itself, never believed.

mod alerts;
pub mod bot;
mod broken;
pub mod outside;
mod paging;
mod people;
mod pods;
mod processes;
pub mod scene;
mod serve;
pub mod stage;
mod steps;
mod switching;
mod whole;
pub mod world;
