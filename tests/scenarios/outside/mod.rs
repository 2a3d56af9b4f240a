//! The adapters against what they talk to: registries, Prometheus, PagerDuty, the service's own endpoints.

use lastgood_adapters::{Check, Fault, check::Verdict, client::client};
use serde_json::{Value, json};
use tempfile::TempDir;

mod alerts;
mod forge;
mod pagerduty;
mod probe;
mod prometheus;
mod registry;
mod tokens;

/// A folder, a client, and everything that was printed, to look for secrets in at the end.
struct Stage {
    folder: TempDir,
    http: reqwest::Client,
}

impl Stage {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), http: client().unwrap() }
    }

    /// A secret's source, in the form that a configuration has.
    fn secret(&self, name: &str, value: &str) -> Value {
        let file = self.folder.path().join(name);
        std::fs::write(&file, format!("{value}\n")).unwrap();
        json!({ "file": file })
    }
}

/// The text of a fault or of anything else that may be logged, after making sure that `secret` isn't in it.
#[track_caller]
fn without(secret: &str, printed: impl std::fmt::Debug) -> String {
    let text = format!("{printed:?}");
    assert!(!text.contains(secret), "{text}");
    text
}

/// The one line of a check: `good`, `warning` or `bad`, and all its text.
#[track_caller]
fn only(lines: Vec<Check>) -> (&'static str, String) {
    let [line] = lines.as_slice() else { panic!("not one line: {lines:?}") };
    let word = match line.verdict {
        Verdict::Good(_) => "good",
        Verdict::Warning { .. } => "warning",
        Verdict::Bad { .. } => "bad",
    };
    (word, format!("{line:?}"))
}

/// The variant's name: what a caller acts on.
fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::NotFound(_) => "not found",
        Fault::Denied(_) => "denied",
        Fault::RateLimited { .. } => "rate limited",
        Fault::Unavailable(_) => "unavailable",
        Fault::Unknown(_) => "unknown",
        Fault::Invalid(_) => "invalid",
        Fault::Conflict(_) => "conflict",
    }
}
