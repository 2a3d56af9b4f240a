//! The whole chain: customers, HAProxy, Prometheus, Alertmanager, the bot, the registry, PagerDuty, and people in a chat.
//! Every scenario reads as what people do; the world is read back by the test itself, never believed.

mod alerts;
pub mod bot;
mod broken;
mod images;
mod meanwhile;
pub mod outside;
mod paging;
mod people;
mod pods;
mod pools;
mod processes;
mod rolling;
pub mod scene;
pub mod serve;
mod stability;
pub mod stage;
mod steps;
mod switching;
mod whole;
pub mod world;
