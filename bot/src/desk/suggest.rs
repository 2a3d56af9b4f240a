//! What fits while somebody fills in a command: services, versions of the inventory with what speaks against each, open
//! incidents. Only ever a help: what is typed otherwise is taken, too.

use std::collections::BTreeSet;

use lastgood_adapters::chat::{Asking, Suggestion};
use lastgood_core::{
    Artifact, ServiceId,
    inventory::{
        Phase,
        choice::{Choice, Question, Routes, SHOWN, choose},
        live::{Live, Running},
    },
};

use super::Desk;
use crate::{
    command::table::{Kind, PROPOSE, TABLE},
    engine::candidates,
    store::{self, Result},
};

/// Where it is not asked what a pool runs.
const ANY: &str = "*";

impl Desk {
    pub(super) async fn suggestions(&self, asking: &Asking) -> Result<Vec<Suggestion>> {
        if self.outsider(&asking.actor).await.is_some() {
            return Ok(Vec::new());
        }
        let row = TABLE.iter().find(|row| row.group.word() == asking.group && row.name == asking.command);
        let argument = row.and_then(|row| row.args.iter().find(|arg| arg.name == asking.argument));
        let all = match argument.map(|arg| arg.kind) {
            Some(Kind::Service) => self.services(&asking.room),
            Some(Kind::Incident) => self.open_incidents().await?,
            Some(Kind::Version) => {
                let named = asking.given.get("service").map_or("", String::as_str);
                match self.engine.services.get(&ServiceId::from(named)) {
                    Some(service) if asking.command == PROPOSE.name => self.targets(&service.id).await?,
                    Some(service) => self.artifacts(&service.id).await?,
                    None => Vec::new(),
                }
            }
            _ => Vec::new(),
        };
        let typed = asking.typed.to_lowercase();
        Ok(all.into_iter().filter(|one| one.label.to_lowercase().contains(&typed)).collect())
    }

    /// Those whose incidents are in this room first.
    fn services(&self, room: &str) -> Vec<Suggestion> {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.engine.services.iter().partition(|service| self.room_of(service, room).is_some());
        let named = here.into_iter().chain(elsewhere).map(|service| service.id.0.clone());
        named.map(|name| Suggestion { value: name.clone(), label: name }).collect()
    }

    async fn open_incidents(&self) -> Result<Vec<Suggestion>> {
        let open = store::incidents::list(self.engine.store.reader(), false).await?;
        let line = |incident: store::incidents::Incident| Suggestion {
            value: incident.id.to_string(),
            label: format!("{} · {}", incident.id, incident.service),
        };
        Ok(open.into_iter().map(line).collect())
    }

    /// What could be proposed, and what is passed over with its reason. From the inventory alone: what the pools run is read
    /// when something is proposed.
    async fn targets(&self, id: &ServiceId) -> Result<Vec<Suggestion>> {
        let service = self.engine.service(&id.0)?;
        let limit = i64::try_from(2 * SHOWN).unwrap_or(i64::MAX);
        let now = self.engine.now();
        let db = self.engine.store.reader();
        let (history, _) = candidates::history(db, id, now, limit, service.alert_expires).await?;
        let newest = history.iter().map(|known| &known.release).find(|release| release.phase == Phase::Live);
        let Some(newest) = newest else { return Ok(Vec::new()) };
        let running = Running::Recorded { digest: newest.artifact.digest.clone() };
        let live = Live {
            shares: [(ANY.to_owned(), 100)].into(),
            pools: [(ANY.to_owned(), running)].into(),
            ..Live::default()
        };
        // Where each would run is not looked at here.
        let names =
            history.iter().map(|known| (known.release.artifact.digest.clone(), ANY.to_owned())).collect();
        let choice = choose(&Question {
            history: &history,
            live: &live,
            min_bake: service.min_bake,
            routes: Routes::Made(&names),
            alert_since: None,
            suspect_within: service.suspect_within,
            must_pull: false,
            tried: &BTreeSet::new(),
            wanted: None,
        });
        Ok(targets(&choice))
    }

    async fn artifacts(&self, id: &ServiceId) -> Result<Vec<Suggestion>> {
        let releases = store::releases::newest(self.engine.store.reader(), id, 100).await?;
        let mut seen = BTreeSet::new();
        let artifacts: Vec<_> =
            releases.into_iter().map(|of| of.artifact).filter(|of| seen.insert(of.digest.clone())).collect();
        let all: Vec<&Artifact> = artifacts.iter().collect();
        let line = |of: &Artifact| Suggestion { value: word(of, &all), label: of.to_string() };
        Ok(artifacts.iter().map(line).collect())
    }
}

fn targets(choice: &Choice) -> Vec<Suggestion> {
    let all: Vec<&Artifact> = choice.candidates.iter().map(|candidate| &candidate.artifact).collect();
    let line = |candidate: &lastgood_core::inventory::choice::Candidate| {
        let mut label = match (&candidate.skip, &candidate.because) {
            (Some(skip), _) => format!("{} · skipped: {skip}", candidate.artifact.version),
            (None, Some(because)) => format!("{} · {because}", candidate.artifact.version),
            (None, None) => candidate.artifact.version.clone(),
        };
        if let Some((version, _)) = &candidate.irreversible {
            label = format!("{label} · behind {version}, which can't be undone");
        }
        Suggestion { value: word(&candidate.artifact, &all), label }
    };
    let (good, skipped): (Vec<_>, Vec<_>) =
        choice.candidates.iter().partition(|candidate| candidate.skip.is_none());
    good.into_iter().chain(skipped).map(line).collect()
}

/// The version, or the digest where several artifacts have this version.
fn word(of: &Artifact, all: &[&Artifact]) -> String {
    let same = all.iter().filter(|other| other.version == of.version).count();
    if same > 1 { of.digest.to_string() } else { of.version.clone() }
}

/// Suggestions that can't be made are none: what somebody types is taken all the same.
pub(super) fn or_none(suggested: Result<Vec<Suggestion>>) -> Vec<Suggestion> {
    suggested.unwrap_or_else(|error| {
        tracing::warn!(%error, "nothing could be suggested");
        Vec::new()
    })
}
