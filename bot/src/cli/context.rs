//! What commands share: the configuration, the opened application, and who is acting.

use std::path::{Path, PathBuf};

use lastgood_core::Actor;

use crate::{
    app::{self, App, NotBuilt},
    config::{Config, LogFormat, Warning},
    http::{NotBound, Unusable},
    store::StoreError,
    telemetry,
};

/// Why a command did not do what it was asked: lines for the person, each with what to do next where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub lines: Vec<String>,
}

impl Fault {
    pub fn new(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()] }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<NotBuilt> for Fault {
    fn from(error: NotBuilt) -> Self {
        Self::new(error.to_string())
    }
}

impl From<NotBound> for Fault {
    fn from(error: NotBound) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Unusable> for Fault {
    fn from(error: Unusable) -> Self {
        Self::new(error.to_string())
    }
}

/// Where a command runs.
pub struct Context {
    file: PathBuf,
}

impl Context {
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// # Errors
    /// Everything that is wrong with the file.
    pub fn config(&self) -> Result<(Config, Vec<Warning>), Fault> {
        Config::load(&self.file)
            .map_err(|problems| Fault { lines: problems.iter().map(ToString::to_string).collect() })
    }

    /// Opens everything for a command that acts and ends. It executes nothing itself: the executor is dropped, and what is
    /// asked for waits in the database for the server.
    ///
    /// # Errors
    /// What is wrong with the file or with the store.
    pub async fn open(&self) -> Result<App, Fault> {
        telemetry::init(LogFormat::Text, "warn");
        let (config, _) = self.config()?;
        Ok(App::open(config).await?.0)
    }
}

/// The person at the command line, as the configuration maps them.
pub fn operator(config: &Config) -> Actor {
    app::actor(&config.operator(&user()))
}

/// The operating-system user's name. The system is asked, not the environment, which anybody can set.
fn user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(process) = std::fs::metadata("/proc/self") else {
        // Not Linux.
        let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        return named.unwrap_or_else(|| "unknown".to_owned());
    };
    let id = process.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid-{id}"))
}
