//! Slack's own client libraries, as `tests/run` installs them: independent judges of the stand-in, and of what the bot draws.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Where `tests/run` put them.
fn folder() -> PathBuf {
    let folder = std::env::var_os("LASTGOOD_TEST_CLIENTS");
    folder.expect("Slack's client libraries are missing: run the tests by tests/run").into()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/slack").join(name)
}

pub fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(script(name)).env("PYTHONPATH", folder().join("python"));
    command
}

pub fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script(name)).env("CLIENTS", folder().join("node"));
    command
}

/// What Slack's block classes refuse of what was sent; how much was judged stands in the last line.
///
/// # Errors
/// With everything that they refuse.
pub fn judge(sent: &[(&str, Value)]) -> Result<String, String> {
    let mut judging = python("judge.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = judging.stdin.take().unwrap();
    for (kind, content) in sent {
        writeln!(lines, "{}", serde_json::json!([kind, content])).unwrap();
    }
    drop(lines);
    let judged = judging.wait_with_output().unwrap();
    let said = String::from_utf8(judged.stdout).unwrap();
    if judged.status.success() { Ok(said) } else { Err(said) }
}
