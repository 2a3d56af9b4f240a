//! Commands of the shared table that have no form of their own here: typed as in chat, done as whoever the operating-system
//! user is.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use clap::CommandFactory as _;
use lastgood_adapters::chat::{Answer, Inbox as _, Incoming, What};

use super::{Cli, Context, Ended, Fault, context::operator, output::say};
use crate::{
    chat::TERMINAL,
    command::table::{Group, Row, TABLE},
    delivery::Chats,
    desk::Desk,
};

/// Commands that have options, and so a form of their own here.
const OWN: [&str; 7] = ["propose", "status", "history", "mark", "alerts", "end-alert", "help"];

/// All others of the table: what is added there is here.
fn rest() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| row.group == Group::Rollback && !OWN.contains(&row.name))
}

/// Lines for the end of `--help`.
pub fn help() -> String {
    let line = |row: &Row| {
        let usage = row.usage();
        format!("  {:30} {}", usage.trim_start_matches("rollback "), row.help)
    };
    format!("As in chat:\n{}", rest().map(line).collect::<Vec<_>>().join("\n"))
}

pub async fn run(context: &Context, words: &[String]) -> Ended {
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !rest().any(|row| row.name == first) {
        // As clap exits with mistakes in typing.
        super::note(&format!("error: {}", unknown(first)));
        return Ok(ExitCode::from(2));
    }
    let app = context.open().await?;
    let desk = Desk::new(app.engine.clone(), Chats::default(), TERMINAL).acting_as(operator(&app.config));
    let said = Incoming {
        delivery: delivery(),
        actor: operator(&app.config),
        room: String::new(),
        thread: None,
        what: What::Command { text: words.join(" ") },
    };
    match desk.take(said).await.map_err(|error| Fault::new(error.0))? {
        Answer::Done => say("done")?,
        Answer::Private(card) => {
            // An answer that refuses begins by saying so.
            if card.colour == lastgood_core::card::Colour::Warning {
                return Err(Fault::new(card.plain()));
            }
            say(card.plain())?;
        }
        Answer::Ask { .. } => {
            return Err(Fault::new("it asks for more than a command line can give: use chat"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Differs from run to run.
fn delivery() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("command-line-{}-{}-{number}", std::process::id(), rand::random::<u64>())
}

fn unknown(word: &str) -> String {
    let cli = Cli::command();
    let known = cli.get_subcommands().map(|command| command.get_name().to_owned());
    let known = known.chain(rest().map(|row| row.name.to_owned()));
    let near = known.map(|name| (strsim::damerau_levenshtein(&name, word), name));
    let near = near.filter(|(distance, name)| *distance <= 1 + name.len() / 4).min();
    let near = near.map(|(_, name)| format!("did you mean {name:?}? ")).unwrap_or_default();
    format!("there is no command {word:?}; {near}`lastgood --help` lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_is_on_the_command_line() {
        let cli = Cli::command();
        for row in &TABLE {
            let found = match row.group {
                _ if rest().any(|other| other.name == row.name) => help().contains(row.help),
                Group::Incident => cli
                    .find_subcommand(row.group.word())
                    .is_some_and(|group| group.find_subcommand(row.name).is_some()),
                // The group's name alone proposes.
                Group::Rollback => match row.name {
                    "propose" => cli.find_subcommand("rollback").is_some(),
                    "help" => true,
                    "alerts" | "end-alert" => {
                        let name = if row.name == "alerts" { "list" } else { "end" };
                        cli.find_subcommand("alert").is_some_and(|of| of.find_subcommand(name).is_some())
                    }
                    name => cli.get_subcommands().any(|known| {
                        known.get_name() == name || known.get_visible_aliases().any(|alias| alias == name)
                    }),
                },
            };
            assert!(found, "{} is not on the command line", row.usage());
        }
        assert!(Cli::command().render_help().to_string().contains("stop [SERVICE]"));
    }

    #[test]
    fn a_mistyped_command_is_told_the_nearest() {
        assert_eq!(
            unknown("serv"),
            "there is no command \"serv\"; did you mean \"serve\"? `lastgood --help` lists them"
        );
        assert!(unknown("stp").contains("\"stop\""), "{}", unknown("stp"));
    }
}
