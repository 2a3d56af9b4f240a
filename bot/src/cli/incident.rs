//! `lastgood incident`: what is open until its root cause is known.

use std::process::ExitCode;

use clap::Subcommand;
use lastgood_core::{IncidentId, incident::Closing};
use serde_json::{Value, json};

use super::{
    Context, Ended, Fault,
    context::operator,
    output::{self, plain, say, table as columns},
};
use crate::{
    app::App,
    clock::rfc3339,
    command::table,
    store::{self, incidents::Incident, rollbacks::Saved},
};

#[derive(Debug, Subcommand)]
pub enum What {
    #[command(about = table::LIST.help)]
    List {
        /// The closed ones as well.
        #[arg(long)]
        all: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    #[command(about = table::SHOW.help)]
    Show {
        /// INC-1
        id: IncidentId,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    #[command(about = table::CLOSE.help)]
    Close {
        /// INC-1
        id: IncidentId,
        /// What caused it, in a sentence.
        #[arg(long, value_name = "SENTENCE")]
        root_cause: String,
        /// The release was innocent: its mark is lifted, and the gate lets it pass again.
        #[arg(long)]
        not_the_release: bool,
    },
}

pub async fn run(context: &Context, what: What) -> Ended {
    let app = context.open().await?;
    match what {
        What::List { all, json } => list(&app, all, json).await,
        What::Show { id, json } => show(&app, id, json).await,
        What::Close { id, root_cause, not_the_release } => {
            let closing = Closing { root_cause, not_the_release };
            let closed = app.engine.close_incident(id, &closing, &operator(&app.config), None).await?;
            let mark = if not_the_release { "; the release is not blamed any more" } else { "" };
            say(format!("{} of {} is closed{mark}", closed.id, closed.service))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(app: &App, all: bool, json: bool) -> Ended {
    let incidents = store::incidents::list(app.engine.store.reader(), all).await?;
    if json {
        output::json(&incidents.iter().map(for_programs).collect::<Vec<_>>())?;
    } else if incidents.is_empty() {
        say(if all { "there are no incidents" } else { "no incident is open" })?;
    } else {
        say(rows(&incidents))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rows(incidents: &[Incident]) -> String {
    let row = |of: &Incident| {
        let closed = of.closed_at.map_or_else(|| "open".to_owned(), rfc3339);
        [
            of.id.to_string(),
            of.service.to_string(),
            of.rollback.to_string(),
            rfc3339(of.opened_at),
            closed,
            of.root_cause.as_deref().map_or_else(|| "not known yet".to_owned(), plain),
        ]
    };
    let rows: Vec<_> = incidents.iter().map(row).collect();
    columns(["INCIDENT", "SERVICE", "ROLLBACK", "OPENED", "CLOSED", "ROOT CAUSE"], &rows)
}

pub(super) fn for_programs(of: &Incident) -> Value {
    json!({
        "id": of.id.to_string(), "service": of.service, "rollback": of.rollback.to_string(),
        "opened_at": of.opened_at, "closed_at": of.closed_at, "closed_by": of.closed_by,
        "root_cause": of.root_cause, "not_the_release": of.not_the_release,
    })
}

async fn show(app: &App, id: IncidentId, json: bool) -> Ended {
    let db = app.engine.store.reader();
    let found = store::incidents::get(db, id).await?;
    let incident = found.ok_or_else(|| {
        Fault::new(format!("there is no {id}; `lastgood incident list --all` shows all that there are"))
    })?;
    let recent = store::rollbacks::recent(db, Some(&incident.service), 1_000).await?;
    let runs: Vec<_> = recent.into_iter().filter(|saved| saved.state.thread == incident.thread).collect();
    if json {
        let mut value = for_programs(&incident);
        value["rollbacks"] = runs.iter().map(run_for_programs).collect();
        output::json(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = rows(std::slice::from_ref(&incident));
    if let Some(by) = &incident.closed_by {
        text.push_str(&format!("\n\nclosed by {}", plain(by)));
    }
    if incident.not_the_release {
        text.push_str("; it was not the release");
    }
    text.push_str("\n\n");
    text.push_str(&runs_table(&runs));
    if incident.closed_at.is_none() {
        text.push_str(&format!("\n\nclose it with: lastgood incident close {id} --root-cause \"…\""));
    }
    say(text)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn runs_table(runs: &[Saved]) -> String {
    let row = |saved: &Saved| {
        let state = &saved.state;
        let dash = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| plain(&text));
        [
            state.id.to_string(),
            state.service.to_string(),
            word(saved).to_owned(),
            rfc3339(state.opened_at),
            dash(state.failing().map(|failing| failing.artifact.to_string())),
            dash(state.target().map(ToString::to_string)),
            dash(state.commander.as_ref().map(ToString::to_string)),
        ]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    columns(["ROLLBACK", "SERVICE", "PHASE", "OPENED", "FAILING", "TARGET", "COMMANDER"], &rows)
}

fn word(saved: &Saved) -> &'static str {
    match &saved.state.phase {
        lastgood_core::rollback::Phase::Ended { end } => end.word(),
        phase => phase.word(),
    }
}

pub(super) fn run_for_programs(saved: &Saved) -> Value {
    let state = &saved.state;
    json!({
        "id": state.id.to_string(), "service": state.service, "phase": state.phase.word(),
        "ended_as": (!state.active()).then(|| word(saved)), "opened_at": state.opened_at,
        "ended_at": state.ended_at, "failing": state.failing().map(|failing| &failing.artifact),
        "target": state.target(), "commander": state.commander,
    })
}
