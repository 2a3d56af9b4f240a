//! One rollback, from proposal to its end, as a pure state machine: [`step`] takes a state and an event and gives the next
//! state, what to change in the database with it, and what to ask of the world after it.

mod effect;
mod event;
mod machine;
mod pace;
mod policy;
mod refusal;
mod state;
mod why;

pub use effect::{Change, Effect, Linked, Request, Timer};
pub use event::{
    Applied, Decision, Event, Fetched, Opening, Preflighted, ShiftReading, Standing, Survey, Surveyed,
    TrafficNow,
};
pub use machine::{Step, open, step};
pub use pace::Pace;
pub use policy::{Approval, Policy};
pub use refusal::Refusal;
pub use state::{Alerting, Kind, Page, Phase, Proposal, Rollback, Sent};
pub use why::{End, Why};

/// Version of event bodies written by this build; a replica takes no newer ones.
pub const EVENT_VERSION: i64 = 3;
/// Version of effect bodies written by this build.
pub const EFFECT_VERSION: i64 = 4;
