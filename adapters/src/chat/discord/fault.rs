//! Discord's errors, told apart by what a caller does about them (discord.com/developers, Opcodes and Status Codes, JSON error
//! codes). No text of this module holds a token, or an address with one.

use serenity::http::{ErrorResponse, HttpError};

use super::api::Effect;
use crate::Fault;

/// Codes that callers decide by.
pub(super) mod code {
    pub const UNKNOWN_CHANNEL: isize = 10_003;
    pub const ACKNOWLEDGED: isize = 40_060;
    pub const ARCHIVED: isize = 50_083;
    /// Of an interaction, after its 15 minutes.
    pub const TOKEN_OVER: isize = 50_027;
    pub const THREAD_EXISTS: isize = 160_004;
}

/// A call that failed, with Discord's own code where it gave one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failed {
    pub code: isize,
    pub fault: Fault,
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        failed.fault
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { code: 0, fault }
    }
}

pub(super) fn of(what: &str, effect: Effect, error: serenity::Error) -> Failed {
    match error {
        serenity::Error::Http(HttpError::UnsuccessfulRequest(answer)) => answered(what, effect, &answer),
        serenity::Error::Http(HttpError::Request(error)) => {
            // The address may hold an interaction's token.
            let error = error.without_url();
            if error.is_connect() {
                return Fault::Unavailable(format!("{what}: Discord can't be reached ({})", deepest(&error)))
                    .into();
            }
            if error.is_builder() {
                return Fault::Invalid(format!("{what}: no request can be made of it")).into();
            }
            silent(what, effect, &deepest(&error)).into()
        }
        _ => silent(what, effect, "the answer can't be read").into(),
    }
}

/// No answer: what was to change may have changed.
pub(super) fn silent(what: &str, effect: Effect, why: &str) -> Fault {
    match effect {
        Effect::Reads => Fault::Unavailable(format!("{what}: {why}")),
        Effect::Writes => Fault::Unknown(format!("{what}: {why}")),
    }
}

pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

fn answered(what: &str, effect: Effect, answer: &ErrorResponse) -> Failed {
    let (status, code) = (answer.status_code.as_u16(), answer.error.code);
    let said = format!("{what}: {} ({code})", answer.error.message);
    let fault = match (status, code) {
        (_, code::TOKEN_OVER) => Fault::NotFound(format!("{said}; its 15 minutes are over")),
        (401, _) => {
            Fault::Denied(format!("{said}; the token is not valid (any more): \"Bot\", \"Reset Token\""))
        }
        (_, 50_001) => Fault::Denied(format!(
            "{said}; the bot can't see it: give its role \"View Channel\" there, or invite it to the server"
        )),
        (_, 50_013) => Fault::Denied(format!(
            "{said}; the bot's role lacks a permission there: `lastgood check` names it"
        )),
        (_, 40_067) => Fault::Denied(format!("{said}; this forum wants a tag: switch \"Require Tags\" off")),
        (_, code::ARCHIVED | code::THREAD_EXISTS | code::ACKNOWLEDGED) => Fault::Invalid(said),
        (404, _) => Fault::NotFound(said),
        (429, _) => Fault::RateLimited { after: None, detail: said },
        (403, _) => Fault::Denied(said),
        (408 | 500.., _) => silent(what, effect, &format!("Discord answered {status}")),
        _ => Fault::Invalid(format!("{said}{}", details(answer))),
    };
    Failed { code, fault }
}

/// What Discord says is wrong with which part.
fn details(answer: &ErrorResponse) -> String {
    let wrong = answer.error.errors.iter().take(5).map(|error| format!("{}: {}", error.path, error.message));
    let wrong = wrong.collect::<Vec<_>>().join("; ");
    if wrong.is_empty() { wrong } else { format!(" [{wrong}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_answer_a_write_is_unknown_and_a_read_is_not() {
        assert!(matches!(silent("m", Effect::Writes, "x"), Fault::Unknown(_)));
        assert!(matches!(silent("m", Effect::Reads, "x"), Fault::Unavailable(_)));
    }
}
