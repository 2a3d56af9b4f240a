//! What people ask for in words. Parser and help come from the same table, so that no command is without its help.

use lastgood_core::Actor;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Rollback { service: String, version: Option<String>, reason: Option<String> },
    Stop { service: String },
    Commander { service: String, commander: Actor },
    Status,
    Help,
}

/// A command that is none; the text says what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    #[error("no command is called {word:?}{}; `help` lists them", near(.nearest.as_deref()))]
    Unknown { word: String, nearest: Option<String> },
    #[error("{0} is missing: {1}")]
    Missing(&'static str, &'static str),
}

fn near(name: Option<&str>) -> String {
    name.map(|name| format!(", did you mean {name:?}?")).unwrap_or_default()
}

struct Row {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
}

const TABLE: [Row; 5] = [
    Row {
        name: "rollback",
        usage: "rollback SERVICE [VERSION] [REASON…]",
        help: "propose the last stable version, or the one you name",
    },
    Row {
        name: "stop",
        usage: "stop SERVICE",
        help: "stop the running rollback; traffic stays as it is read",
    },
    Row {
        name: "commander",
        usage: "commander SERVICE USER",
        help: "hand the command of the incident to somebody",
    },
    Row { name: "status", usage: "status", help: "the newest rollbacks" },
    Row { name: "help", usage: "help", help: "this list" },
];

/// Reads a command's text.
///
/// # Errors
/// With what is missing, or the nearest name.
pub fn parse(text: &str) -> Result<Command, NotACommand> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or("help").trim_start_matches('/').to_lowercase();
    let Some(row) = TABLE.iter().find(|row| row.name == name) else {
        let nearest = TABLE.iter().map(|row| (strsim::damerau_levenshtein(row.name, &name), row.name));
        let near = nearest.filter(|(distance, _)| *distance <= 2).min().map(|(_, near)| near.to_owned());
        return Err(NotACommand::Unknown { word: name.chars().take(40).collect(), nearest: near });
    };
    let mut service =
        || words.next().map(str::to_owned).ok_or(NotACommand::Missing("the service", row.usage));
    Ok(match row.name {
        "rollback" => {
            let service = service()?;
            let version = words.next().map(str::to_owned);
            let rest: Vec<_> = words.collect();
            let reason = (!rest.is_empty()).then(|| rest.join(" ").trim_matches('"').to_owned());
            Command::Rollback { service, version, reason }
        }
        "stop" => Command::Stop { service: service()? },
        "commander" => {
            let service = service()?;
            let who =
                words.next().ok_or(NotACommand::Missing("the user", row.usage))?.trim_start_matches('@');
            let name = who.split_once(':').map_or(who, |(_, name)| name);
            Command::Commander { service, commander: Actor::new(who, name) }
        }
        "status" => Command::Status,
        _ => Command::Help,
    })
}

/// Every command, a line each.
pub fn help() -> String {
    TABLE.iter().map(|row| format!("{:40} {}", row.usage, row.help)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_as_people_type_them() {
        let full = parse("/rollback checkout v2.4.0 \"checkout is down\"").unwrap();
        let expected = Command::Rollback {
            service: "checkout".into(),
            version: Some("v2.4.0".into()),
            reason: Some("checkout is down".into()),
        };
        assert_eq!(full, expected);
        assert_eq!(parse(""), Ok(Command::Help));
        assert_eq!(
            parse("rollbak checkout").unwrap_err().to_string(),
            "no command is called \"rollbak\", did you mean \"rollback\"?; `help` lists them"
        );
        assert!(parse("rollback").unwrap_err().to_string().contains("rollback SERVICE"));
    }

    #[test]
    fn every_command_of_the_table_is_parsed_and_in_the_help() {
        for row in &TABLE {
            assert!(parse(&format!("{} checkout ana", row.name)).is_ok(), "{}", row.name);
            assert!(help().contains(row.usage));
        }
    }
}
