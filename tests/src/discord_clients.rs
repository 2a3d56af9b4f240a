//! Validators made from Discord's own description of its interface, as `tests/run` installs them: an independent judge of what
//! the bot sends.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// What Discord's description refuses of bodies, each with method and path; how much was judged stands in the last line.
///
/// # Errors
/// With everything that it refuses.
pub fn judge(sent: &[(String, Value)]) -> Result<String, String> {
    let folder = std::env::var_os("LASTGOOD_TEST_DISCORD_CLIENTS");
    let folder: PathBuf =
        folder.expect("Discord's validators are missing: run the tests by tests/run").into();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/discord/judge.mjs");
    let mut judging = Command::new("node");
    judging.arg(script).env("CLIENTS", folder.join("node")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut judging = judging.spawn().unwrap();
    let mut lines = judging.stdin.take().unwrap();
    for one in sent {
        writeln!(lines, "{}", serde_json::json!(one)).unwrap();
    }
    drop(lines);
    let judged = judging.wait_with_output().unwrap();
    let said = String::from_utf8(judged.stdout).unwrap();
    if judged.status.success() { Ok(said) } else { Err(said) }
}
