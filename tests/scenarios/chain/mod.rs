//! The whole chain: customers, HAProxy, Prometheus, Alertmanager, the bot, the registry, PagerDuty, and people in a chat.
//! Every scenario reads as what people do; the world is read back by the test itself, never believed.

mod alerts;
mod bot;
mod broken;
mod outside;
mod people;
mod processes;
mod serve;
mod stage;
mod switching;
mod whole;
mod world;
