//! From what somebody typed to a command, by the table.

use std::collections::BTreeMap;

use lastgood_core::IncidentId;

use super::{
    Command,
    table::{
        ALERTS, Arg, CLOSE, COMMANDER, END_ALERT, Group, HELP, HISTORY, Kind, LIST, MARK, PAUSE, PROPOSE,
        RESUME, Row, SHOW, STATUS, STOP, TABLE,
    },
};

/// A command that is none; the text says what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    #[error("no command is called {word:?}{}; `help` lists them", near(.nearest.as_deref()))]
    Unknown { word: String, nearest: Option<String> },
    #[error("{what} is missing: {usage}")]
    Missing { what: &'static str, usage: String },
    #[error("{word:?} is no {what}: {usage}")]
    Wrong { word: String, what: &'static str, usage: String },
}

fn near(name: Option<&str>) -> String {
    name.map(|name| format!(", did you mean {name:?}?")).unwrap_or_default()
}

/// The command whose name is nearest to a mistyped one.
pub fn nearest(word: &str) -> Option<&'static str> {
    let names = TABLE.iter().map(|row| row.name).chain(Group::ALL.map(Group::word));
    let near = names.map(|name| (strsim::damerau_levenshtein(name, word), name));
    near.filter(|(distance, name)| *distance <= 1 + name.len() / 5).min().map(|(_, name)| name)
}

/// Reads a command's text, with or without its slash: `rollback status`, and in short `status`.
///
/// # Errors
/// With what is missing, or the nearest name.
pub fn parse(text: &str) -> Result<Command, NotACommand> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else { return Ok(Command::Help) };
    let first = first.trim_start_matches('/').to_lowercase();
    match Group::ALL.into_iter().find(|group| group.word() == first) {
        Some(group) => in_group(group, rest),
        None => {
            let row = TABLE.iter().find(|row| row.name == first).ok_or_else(|| unknown(&first))?;
            with(row, rest)
        }
    }
}

fn unknown(word: &str) -> NotACommand {
    NotACommand::Unknown { nearest: nearest(word).map(str::to_owned), word: word.chars().take(40).collect() }
}

fn in_group(group: Group, words: &[&str]) -> Result<Command, NotACommand> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(match group {
            Group::Rollback => Command::Help,
            Group::Incident => Command::Incidents,
        });
    };
    let named = TABLE.iter().find(|row| row.group == group && row.name.eq_ignore_ascii_case(first));
    match (named, group) {
        (Some(row), _) => with(row, rest),
        (None, _) if first.eq_ignore_ascii_case(HELP.name) => Ok(Command::Help),
        (None, Group::Rollback) => with(&PROPOSE, words),
        (None, Group::Incident) => Err(unknown(first)),
    }
}

/// A command whose arguments the platform has told apart already, by the names that they were offered by.
///
/// # Errors
/// With what is missing, or what a word can't mean.
pub fn chosen(group: &str, name: &str, given: &BTreeMap<String, String>) -> Result<Command, NotACommand> {
    let row = TABLE.iter().find(|row| row.group.word() == group && row.name == name);
    let row = row.ok_or_else(|| unknown(name))?;
    let mut values = Values::new();
    for arg in row.args {
        let value = given.get(arg.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let Some(value) = value else {
            if arg.needed {
                return Err(NotACommand::Missing { what: arg.name, usage: row.usage() });
            }
            continue;
        };
        values.insert(arg.name, meant(row, arg, value)?);
    }
    build(row, &values)
}

/// A value as this kind of argument has it.
fn meant(row: &Row, arg: &Arg, value: &str) -> Result<String, NotACommand> {
    let wrong =
        |what| NotACommand::Wrong { word: value.chars().take(40).collect(), what, usage: row.usage() };
    match arg.kind {
        Kind::OneOf(known) => {
            let word = known.iter().find(|word| word.eq_ignore_ascii_case(value));
            word.map(|word| (*word).to_owned()).ok_or_else(|| wrong(arg.help))
        }
        Kind::Incident => match value.to_uppercase().parse::<IncidentId>() {
            Ok(id) => Ok(id.to_string()),
            Err(_) => Err(wrong(NO_INCIDENT)),
        },
        _ => Ok(value.to_owned()),
    }
}

const NO_INCIDENT: &str = "incident (they are called INC-1, INC-2, …)";

type Values = BTreeMap<&'static str, String>;

fn with(row: &Row, words: &[&str]) -> Result<Command, NotACommand> {
    let mut values = Values::new();
    let mut left = words;
    for (number, arg) in row.args.iter().enumerate() {
        let needed_after = row.args[number + 1..].iter().filter(|arg| arg.needed).count();
        if let Some((value, rest)) = take(row, arg, left, needed_after)? {
            values.insert(arg.name, value);
            left = rest;
        } else if arg.needed {
            return Err(NotACommand::Missing { what: arg.name, usage: row.usage() });
        }
    }
    match left.first() {
        // Half understood is not understood.
        Some(word) => Err(NotACommand::Wrong {
            word: word.chars().take(40).collect(),
            what: "part of it",
            usage: row.usage(),
        }),
        None => build(row, &values),
    }
}

/// One argument's value and the words after it; none when it was left out.
fn take<'a>(
    row: &Row,
    arg: &Arg,
    words: &'a [&'a str],
    needed_after: usize,
) -> Result<Option<(String, &'a [&'a str])>, NotACommand> {
    let Some((first, rest)) = words.split_first() else { return Ok(None) };
    // What may be left out is, when the words are few: `commander @ana`. A flag is its own word and no other argument's.
    if !arg.needed && !matches!(arg.kind, Kind::Rest | Kind::Flag) && words.len() <= needed_after {
        return Ok(None);
    }
    Ok(match arg.kind {
        Kind::Rest => {
            let text = words.join(" ").trim_matches('"').trim().to_owned();
            (!text.is_empty()).then_some((text, &words[words.len()..]))
        }
        Kind::Flag => (first.trim_start_matches('-') == arg.name).then(|| (arg.name.to_owned(), rest)),
        Kind::OneOf(_) | Kind::Incident => Some((meant(row, arg, first)?, rest)),
        Kind::Version if !arg.needed && !looks_like_version(first) => None,
        Kind::Service | Kind::Version | Kind::Person => Some(((*first).to_owned(), rest)),
    })
}

/// Versions have a number in them somewhere; reasons begin with a word, or in quotes.
fn looks_like_version(word: &str) -> bool {
    !word.starts_with('"') && word.chars().any(|c| c.is_ascii_digit())
}

fn build(row: &Row, values: &Values) -> Result<Command, NotACommand> {
    let some = |name: &str| values.get(name).cloned();
    let text = |name: &str| some(name).unwrap_or_default();
    let incident = || {
        let wrong = || NotACommand::Missing { what: "incident", usage: row.usage() };
        text("incident").parse().map_err(|_| wrong())
    };
    Ok(match row.name {
        name if name == PROPOSE.name => {
            Command::Propose { service: text("service"), version: some("version"), reason: some("reason") }
        }
        name if name == STATUS.name => Command::Status,
        name if name == HISTORY.name => Command::History { service: text("service") },
        name if name == MARK.name => Command::Mark {
            service: text("service"),
            artifact: text("version"),
            stable: text("as") == "stable",
            reason: text("reason"),
        },
        name if name == STOP.name => Command::Stop { service: some("service") },
        name if name == COMMANDER.name => {
            Command::Commander { service: some("service"), person: text("person") }
        }
        name if name == ALERTS.name => Command::Alerts { service: some("service") },
        name if name == END_ALERT.name => {
            Command::EndAlert { service: text("service"), alert: text("alert") }
        }
        name if name == PAUSE.name => Command::Pause { service: some("service"), reason: some("reason") },
        name if name == RESUME.name => Command::Resume { service: some("service") },
        name if name == LIST.name => Command::Incidents,
        name if name == SHOW.name => Command::Incident { id: incident()? },
        name if name == CLOSE.name => Command::Close {
            id: incident()?,
            root_cause: text("root cause"),
            not_the_release: values.contains_key("not-the-release"),
        },
        _ => Command::Help,
    })
}
