//! Whatever ends the process, wherever it stands: the rollback ends as if nothing had happened. The engine, store and delivery
//! are the product's; the world around them is scripted, in this process, so that it can be cut off between any two steps.

mod anchor;
mod baseline;
mod chat;
mod clocks;
mod hiccup;
mod lease;
pub mod life;
mod load;
mod matrix;
mod own;
mod standby;
pub mod steps;
mod storage;
pub mod story;
mod together;
mod turns;
pub mod worker;
pub mod world;
