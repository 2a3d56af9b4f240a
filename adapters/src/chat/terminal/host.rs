//! What this computer says about its terminal and the person at it.

use std::{io::IsTerminal, process::Stdio};

use tokio::process::Command;

use super::{
    Setup,
    board::Now,
    keys::{Keys, Typed},
};
use crate::Fault;

pub fn setup(now: Now) -> Setup {
    let live = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    // https://no-color.org: set and not empty, whatever its value.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Setup {
        out: Box::new(std::io::stdout()),
        // Single keys are taken only where their effect is drawn: taking them changes how the terminal shows lines, also
        // those of a program that standard output is piped to.
        keys: live.then(Typed::new).flatten().map(|keys| Box::new(keys) as Box<dyn Keys>),
        live,
        colour: live && !plain,
        size: Box::new(size),
        offset: said("date", &["+%z"]).and_then(|zone| offset(&zone)).unwrap_or(0),
        user: user(),
        nonce: format!("{:x}-{:x}", now(), std::process::id()),
        now,
    }
}

/// Without a terminal, a width that logs are read in.
fn size() -> (usize, usize) {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    match crossterm::terminal::size() {
        Ok((columns, lines)) if columns > 0 && std::io::stdout().is_terminal() => {
            (columns.into(), lines.into())
        }
        _ => (columns().unwrap_or(100), 24),
    }
}

/// Approvals are compared by this name, so the kernel is asked first; the environment says what anybody wants.
fn user() -> String {
    let named = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    said("/usr/bin/id", &["-un"])
        .or_else(|| said("id", &["-un"]))
        .or_else(named)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// What a small program of the system prints.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// `+0530` in seconds.
fn offset(zone: &str) -> Option<i32> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60))
}

/// The user's groups.
pub async fn groups(user: &str) -> Result<Vec<String>, Fault> {
    let asked = Command::new("id").args(["-Gn", "--", user]).stdin(Stdio::null()).kill_on_drop(true).output();
    match asked.await {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8_lossy(&output.stdout);
            Ok(names.split_whitespace().map(str::to_owned).collect())
        }
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(Fault::Unavailable(format!("groups of {user}: {error}"))),
    }
}

/// Waits until the process is asked to end.
pub async fn signalled() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_seconds() {
        let read = ["+0000", "+0530", "-0800", "CET", "", "+é0"].map(offset);
        assert_eq!(read, [Some(0), Some(19_800), Some(-28_800), None, None, None]);
    }

    #[tokio::test]
    async fn an_unknown_user_is_in_no_group() {
        assert_eq!(groups("no-such-user-here").await.unwrap(), Vec::<String>::new());
        assert_eq!(groups("-u").await.unwrap(), Vec::<String>::new());
    }
}
