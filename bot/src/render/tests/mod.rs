//! Cards of whole conversations, each made by really running the state machine.

mod alerts;
mod conversations;
mod limits;
mod property;
mod world;
