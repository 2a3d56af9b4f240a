//! What people ask for in words, wherever they type it.

mod parse;
pub mod table;

use lastgood_adapters::chat::{Argument, Offered, Typed};
use lastgood_core::IncidentId;

pub use parse::{NotACommand, chosen, nearest, parse};
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
    /// None: of all services.
    Alerts {
        service: Option<String>,
    },
    EndAlert {
        service: String,
        /// A fingerprint, a title, or `all`.
        alert: String,
    },
    /// None: all services.
    Pause {
        service: Option<String>,
        reason: Option<String>,
    },
    Resume {
        service: Option<String>,
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

/// Every command, for platforms that let people fill them in.
pub fn offered() -> Vec<Offered> {
    let argument = |arg: &table::Arg| Argument {
        name: arg.name,
        help: arg.help,
        needed: arg.needed,
        kind: match arg.kind {
            table::Kind::Service | table::Kind::Version | table::Kind::Incident => Typed::Suggested,
            table::Kind::Person => Typed::Person,
            table::Kind::OneOf(words) => Typed::OneOf(words),
            table::Kind::Flag => Typed::Flag,
            table::Kind::Rest => Typed::Text,
        },
    };
    let row = |row: &table::Row| Offered {
        group: row.group.word(),
        name: row.name,
        help: row.help,
        arguments: row.args.iter().map(argument).collect(),
    };
    TABLE.iter().map(row).collect()
}

/// Every command, a line each.
pub fn help() -> String {
    let line = |row: &table::Row| format!("/{}: {}", row.usage(), row.help);
    TABLE.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
