//! Making a shift outlive a reload, by the user's choice: the map's file is rewritten, the servers' state is dumped, or the
//! Data Plane API is told, which keeps HAProxy's files. The running process is the truth: it is written first, and what is
//! kept follows it. Traffic that moved is not taken back because a disk was full; it is said instead.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::time::Instant;

use super::{
    config::{Address, Route, Switch},
    data_plane::{self, DataPlane},
    socket::Session,
    state::{self, Server},
};
use crate::{Fault, traffic::text};

/// One of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persist {
    /// `switch` only: the file of its map, as it is on this machine.
    #[serde(default)]
    pub map_file: bool,
    /// `weights` only: what `server-state-file` names, on this machine.
    pub state_file: Option<PathBuf>,
    pub data_plane: Option<data_plane::Config>,
}

/// How, once it is known to make sense.
#[derive(Debug, Clone)]
pub(super) enum Keep {
    MapFile(Switch),
    StateFile { backend: String, file: PathBuf },
    DataPlane(DataPlane),
}

/// An entry of a map file, or a file without it.
fn with_entry(text: &str, key: &str, value: &str) -> String {
    let mut found = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let words = line.trim_start();
        let ours = !words.starts_with('#') && words.split_whitespace().next() == Some(key);
        // The first one counts; whatever stands after it for the same key never did.
        lines.push(if ours && !found { format!("{key} {value}") } else { line.to_owned() });
        found |= ours;
    }
    if !found {
        lines.push(format!("{key} {value}"));
    }
    lines.join("\n") + "\n"
}

/// What the running process says now.
struct Running {
    backend: Option<String>,
    dump: String,
}

async fn running(address: &Address, route: &Route, deadline: Instant) -> Result<Running, Fault> {
    let mut session = Session::open(address, deadline).await?;
    Ok(match route {
        Route::Map(switch) => {
            let answer = session.ask(&format!("show map {}", switch.map)).await?;
            let entries = state::entries(&answer, &switch.key).unwrap_or_default();
            Running { backend: entries.into_iter().next(), dump: String::new() }
        }
        Route::Weights(_) => {
            Running { backend: None, dump: format!("{}\n", session.ask("show servers state").await?) }
        }
    })
}

/// Weight and administrative state of a backend's servers, in a dump of all.
fn of_backend(dump: &str, backend: &str) -> Vec<(String, u32, u32)> {
    let ours = |line: &&str| line.starts_with('#') || line.split_whitespace().nth(1) == Some(backend);
    let lines: Vec<&str> = dump.lines().filter(ours).collect();
    let told = |server: &Server| (server.name.clone(), server.weight, server.administration);
    state::servers(&lines.join("\n")).unwrap_or_default().iter().map(told).collect()
}

impl Keep {
    /// Has what is kept say what the first process says.
    ///
    /// # Errors
    /// Why it can't; traffic is where it is.
    pub async fn keep(&self, address: &Address, route: &Route, deadline: Instant) -> Result<(), Fault> {
        let now = running(address, route, deadline).await?;
        match self {
            Self::MapFile(switch) => {
                let backend = now.backend.ok_or_else(|| {
                    Fault::NotFound(format!("{} has no entry {} to keep", switch.map, switch.key))
                })?;
                let path = Path::new(&switch.map);
                let was = text::read(path).await?;
                let new = with_entry(&was, &switch.key, &backend);
                if new == was { Ok(()) } else { text::replace(path, &was, &new).await }
            }
            Self::StateFile { file, .. } => {
                if !file.exists() {
                    tokio::fs::write(file, "").await.map_err(|error| {
                        Fault::Denied(format!("{} can't be made: {error}", file.display()))
                    })?;
                }
                let was = text::read(file).await?;
                text::replace(file, &was, &now.dump).await
            }
            Self::DataPlane(api) => match route {
                Route::Map(switch) => api.set_entry(switch, now.backend.as_deref().unwrap_or_default()).await,
                Route::Weights(weights) => {
                    let servers = of_backend(&now.dump, &weights.backend);
                    api.set_weights(&weights.backend, &servers).await
                }
            },
        }
    }

    /// Why a reload would change what is so now; none when it would not.
    pub async fn doubt(&self, address: &Address, route: &Route, deadline: Instant) -> Option<String> {
        match self.differs(address, route, deadline).await {
            Ok(None) => None,
            Ok(Some(what)) => Some(format!("a reload would undo this routing: {what}")),
            Err(fault) => Some(format!("whether a reload keeps this routing can't be told: {fault}")),
        }
    }

    async fn differs(
        &self,
        address: &Address,
        route: &Route,
        deadline: Instant,
    ) -> Result<Option<String>, Fault> {
        let now = running(address, route, deadline).await?;
        Ok(match self {
            Self::MapFile(switch) => {
                let file = text::read(Path::new(&switch.map)).await?;
                let same = now
                    .backend
                    .as_deref()
                    .is_some_and(|backend| with_entry(&file, &switch.key, backend) == file);
                (!same).then(|| format!("{} says otherwise", switch.map))
            }
            Self::StateFile { backend, file } => {
                let kept = text::read(file).await?;
                let same = of_backend(&kept, backend) == of_backend(&now.dump, backend);
                (!same).then(|| format!("{} says otherwise", file.display()))
            }
            Self::DataPlane(api) => match route {
                Route::Map(switch) => {
                    let kept = api.entry(switch).await?;
                    (kept != now.backend).then(|| "the Data Plane API says otherwise".to_owned())
                }
                Route::Weights(weights) => {
                    let servers = of_backend(&now.dump, &weights.backend);
                    let differs = api.differing(&weights.backend, &servers).await?;
                    differs.map(|name| format!("the Data Plane API has another weight for {name}"))
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_changed_where_it_stands_and_added_where_it_is_not() {
        let file = "# checkout old\nother be_x\n checkout\tbe_blue\ncheckout be_late\n";
        let changed = with_entry(file, "checkout", "be_green");
        assert_eq!(changed, "# checkout old\nother be_x\ncheckout be_green\ncheckout be_late\n");
        assert_eq!(with_entry(&changed, "checkout", "be_green"), changed);
        assert_eq!(with_entry("a b\n", "checkout", "be_blue"), "a b\ncheckout be_blue\n");
    }
}
