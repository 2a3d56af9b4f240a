//! What people ask for in words, wherever they type it.

mod parse;
pub mod table;

use lastgood_core::IncidentId;

pub use parse::{NotACommand, nearest, parse};
use table::TABLE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Propose {
        service: String,
        version: Option<String>,
        reason: Option<String>,
    },
    Status,
    History {
        service: String,
    },
    Mark {
        service: String,
        artifact: String,
        stable: bool,
        reason: String,
    },
    /// None: the one that runs in this room.
    Stop {
        service: Option<String>,
    },
    Commander {
        service: Option<String>,
        person: String,
    },
    Incidents,
    Incident {
        id: IncidentId,
    },
    Close {
        id: IncidentId,
        root_cause: String,
        not_the_release: bool,
    },
    Help,
}

/// Every command, a line each.
pub fn help() -> String {
    let line = |row: &table::Row| format!("/{}: {}", row.usage(), row.help);
    TABLE.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
