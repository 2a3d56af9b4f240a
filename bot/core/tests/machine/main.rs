//! The rollback state machine and the choice of its target, held against their rules: every state with every event, and
//! long random histories in a world that answers late, twice, wrongly or not at all.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail a test like its own lines do")]

mod beliefs;
mod choice;
mod events;
mod histories;
mod kit;
mod laws;
mod paging;
mod regressions;
mod steps;
mod story;
mod table;
mod world;
