//! Any program of the user's as a shifter: it is started for every call, reads one request from its standard input, may say
//! how far it is, and gives one answer. See `contract`, and `docs/adapters.md` for those who write one.

use std::{collections::BTreeMap, process::ExitStatus, sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_core::{Artifact, Strategy};
use serde::Deserialize;
use serde_json::Value;

use super::{
    CALL_LIMIT, Move, Observation, Preflight, Progress, Said, Section, Shifter,
    contract::{Answer, Complaint, Operation, Service, checked, pools_for},
};
use crate::{
    BuildError, Check, Fault, Secret,
    client::{limit, quote},
    duration::Span,
    program::{Ended, NotStarted, Program},
    secret::Source,
};

/// ```toml
/// command = ["/usr/local/bin/shift-checkout", "--production"]
/// pools = ["blue", "green"]
/// environment = { REGION = "eu-1" }
/// secrets = { API_TOKEN = { file = "/run/secrets/api" } }
/// timeout = "30s"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Program and arguments; no shell is between.
    pub command: Vec<String>,
    /// What traffic can go to. None where the program replaces pods and only it knows of them.
    #[serde(default)]
    pub pools: Vec<String>,
    /// All that the program sees of lastgood's environment, beside PATH and LANG.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub secrets: BTreeMap<String, Source>,
    /// After this its whole process group is ended; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

pub struct Exec {
    program: Program,
    service: Service,
    limit: Duration,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.iter().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        pools_for(strategy, &self.pools)
    }

    fn build(&self, service: &str, _: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let mut secrets = BTreeMap::new();
        for (name, from) in &self.secrets {
            secrets.insert(name.clone(), BuildError::read("secrets", from)?);
        }
        let program = Program::new("command", &self.command)?.with(self.environment.clone(), secrets);
        let service = Service { name: service.to_owned(), pools: self.pools.clone() };
        Ok(Arc::new(Exec { program, service, limit: limit(self.timeout, CALL_LIMIT)? }))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        self.secrets.values().map(|source| ("secrets", source)).collect()
    }
}

/// A line of standard output.
#[derive(Deserialize)]
struct Line {
    progress: Option<String>,
    answer: Option<Value>,
    #[serde(flatten)]
    complaint: Option<Complaint>,
}

/// What a program said.
#[derive(Default)]
struct Heard {
    answer: Option<Value>,
    complaint: Option<Complaint>,
    /// A line that is none of these.
    noise: Option<String>,
}

impl Heard {
    fn take(&mut self, line: &str, said: &Said) {
        match serde_json::from_str::<Line>(line) {
            _ if line.trim().is_empty() => {}
            Ok(Line { answer: Some(answer), .. }) => self.answer = Some(answer),
            Ok(Line { complaint: Some(complaint), .. }) => self.complaint = Some(complaint),
            Ok(Line { progress: Some(progress), .. }) => {
                said.send_replace(quote(&progress, &[]));
            }
            Ok(_) | Err(_) => self.noise = Some(line.chars().take(120).collect()),
        }
    }
}

/// What it was given in confidence may come back in what it says.
fn hidden(line: &str, secrets: &[&Secret]) -> String {
    secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret.reveal(), "[secret]"))
}

/// The exit codes of the contract; they are those of `sysexits.h`, as far as it has any.
fn meaning(status: ExitStatus, operation: Operation, detail: String) -> Fault {
    match status.code() {
        Some(64) => Fault::Invalid(detail),
        Some(65) => Fault::Conflict(detail),
        Some(66) => Fault::NotFound(detail),
        Some(69) => Fault::Unavailable(detail),
        Some(75) => Fault::RateLimited { after: None, detail },
        Some(77) => Fault::Denied(detail),
        // Nobody knows how far it came.
        _ => operation.lost(detail),
    }
}

impl Exec {
    async fn call(&self, operation: Operation, wanted: Option<&Move>, said: &Said) -> Result<Answer, Fault> {
        let who = format!("{} {}", self.program.name(), operation.word());
        let mut request = serde_json::to_vec(&self.service.request(operation, wanted))
            .map_err(|error| Fault::Invalid(format!("{who}: the request can't be written: {error}")))?;
        request.push(b'\n');
        let mut heard = Heard::default();
        let hear = |line: &str| heard.take(&hidden(line, &self.program.secrets()), said);
        let ended = self.program.run(&request, self.limit, hear).await;
        let Ended { status, complaint } = match ended {
            Ok(ended) => ended,
            Err(NotStarted(fault)) => return Err(fault),
        };
        let Some(status) = status else {
            return Err(operation.lost(format!("{who}: not done within {:?}, ended", self.limit)));
        };
        let because = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
        if let Some(complaint) = heard.complaint {
            let detail = quote(&complaint.detail, &[]);
            return Err(Complaint { detail, ..complaint }.fault(&who));
        }
        if !status.success() {
            return Err(meaning(status, operation, format!("{who}: {status}{because}")));
        }
        match heard.answer {
            Some(value) => Ok(Answer { who, value }),
            None => {
                let noise = heard.noise.map(|line| format!("; it said {line:?}")).unwrap_or_default();
                Err(operation.lost(format!("{who}: it ended well and gave no answer{noise}")))
            }
        }
    }

    async fn ask(&self, operation: Operation, wanted: Option<&Move>) -> Result<Answer, Fault> {
        self.call(operation, wanted, &Said::default()).await
    }
}

#[async_trait]
impl Shifter for Exec {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.service.observation(&self.ask(Operation::Observe, None).await?)
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Ok(Preflight::Refused { reasons: vec![reason] });
        }
        self.service.preflight(&self.ask(Operation::Preflight, Some(wanted)).await?)
    }

    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        self.call(Operation::Apply, Some(wanted), said).await.map(drop)
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        self.service.progress(&self.ask(Operation::Progress, Some(wanted)).await?)
    }

    fn pool_of(&self, artifact: &Artifact) -> Option<String> {
        self.service.pool_of(artifact)
    }

    async fn check(&self) -> Vec<Check> {
        let what = format!("exec {}", self.program.name());
        vec![checked(what, self.observe().await)]
    }
}
