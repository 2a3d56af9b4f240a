//! Break glass: the whole conversation on this terminal, for when chat is down. With a server on the same database, that
//! server does the work and this command shows it; without one, this process does the work itself: of its own service, until
//! this command ends. On SQLite never both; on PostgreSQL both may, each effect once.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use lastgood_adapters::chat::{Chat, terminal::Terminal};
use lastgood_core::{
    Actor, RollbackId, ServiceId,
    rollback::{self as run, End, Phase},
};
use tokio::sync::watch;

use super::{Context, Ended, Fault, context};
use crate::{
    app::App,
    chat::TERMINAL,
    config::LogFormat,
    delivery::Chats,
    desk::Desk,
    engine::{Engine, propose::Ask},
    follow::{Follower, Yes},
    store::{self, StoreError},
    telemetry,
};

#[derive(Debug, Args)]
pub struct Rollback {
    /// The service, as the configuration names it.
    service: String,
    /// The version or digest to go back to; otherwise the last stable one.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Why, for the thread and for caveats that ask for a reason.
    #[arg(long)]
    reason: Option<String>,
    /// Act alone where the rules ask for two; said loudly in the thread, and audited.
    #[arg(long, value_name = "REASON")]
    break_glass: Option<String>,
    /// Approve the proposal without asking.
    #[arg(long)]
    yes: bool,
}

pub async fn run(context: &Context, asked: Rollback) -> Ended {
    telemetry::init(LogFormat::Text, "error");
    let (config, _) = context.config()?;
    let (app, executor) = App::open(config).await?;
    let actor = context::operator(&app.config);
    // Nobody else's work: a command line ends when its person has seen enough.
    app.engine.lease().only(&app.engine.service(&asked.service)?.id);
    executor.join().await?;
    if !app.engine.lease().executes() {
        super::note("a server is running on this database: it does the work, this terminal shows it");
    }
    let (stop, stopped) = watch::channel(false);
    let executing = tokio::spawn(executor.run(stopped));
    let told = tell(&app, &asked, &actor).await;
    stop.send_replace(true);
    if let Err(error) = executing.await {
        tracing::error!(%error, "the executor ended badly");
    }
    app.engine.store.close().await;
    told
}

async fn tell(app: &App, asked: &Rollback, actor: &Actor) -> Ended {
    let id = open(&app.engine, asked, actor).await?;
    let saved = store::rollbacks::get(app.engine.store.reader(), id).await?;
    let opened = saved.ok_or_else(|| Fault::new(format!("there is no {id}")))?.state;
    let thread = opened.thread;
    let clock = app.engine.clock.clone();
    let terminal = Arc::new(Terminal::stdio(Arc::new(move || clock.now())));
    let chat: Arc<dyn Chat> = terminal.clone();
    let chats = Chats::new([(TERMINAL.to_owned(), chat.clone())]);
    let desk = Desk::new(app.engine.clone(), chats, TERMINAL)
        .breaking_glass(asked.break_glass.clone())
        .acting_as(actor.clone());
    let desk = Arc::new(desk);
    if !asked.yes && !terminal.interactive() {
        return Err(Fault::new(format!(
            "{id} is {}, but this is no terminal to decide on: use --yes, run it in a terminal, or decide in chat",
            opened.phase.word()
        )));
    }
    let mut follower = Follower::new(app.engine.clone(), chat.clone(), &asked.service, thread);
    let mut yes = Yes::new(desk.clone(), actor.clone(), &asked.service, asked.reason.clone());
    let listening = tokio::spawn(async move { chat.listen(desk).await });
    // A server goes on watching whether it stays well; without one, nobody else would.
    let elsewhere = !app.engine.lease().executes();
    let is_well = |state: &run::Rollback| elsewhere && matches!(state.phase, Phase::Confirming { .. });
    let followed = if asked.yes {
        follower.until(async |state| Ok(is_well(state) || yes.press(state).await?)).await
    } else {
        tokio::select! {
            followed = follower.until(async |state| Ok(!state.active() || is_well(state))) => followed,
            () = terminal.ended() => follower.show().await,
        }
    };
    listening.abort();
    terminal.close();
    let state = followed.map_err(|error| Fault::new(format!("{id}: {error:#}")))?;
    // What was begun in this process and is not finished, like telling a pager that it is over, gets a moment.
    settle(&app.engine, &state.service).await;
    match state.phase {
        Phase::Ended { end: End::Recovered } => Ok(ExitCode::SUCCESS),
        Phase::Confirming { .. } if elsewhere => {
            super::note(&format!(
                "{} has recovered; the server goes on watching whether it stays well",
                state.id
            ));
            Ok(ExitCode::SUCCESS)
        }
        Phase::Ended { end } => Err(Fault::new(format!("{} ended: {}", state.id, end.word()))),
        phase => Err(Fault::new(format!(
            "{} is {}: it goes on with the server, or with `lastgood rollback {}`",
            state.id,
            phase.word(),
            asked.service
        ))),
    }
}

/// A new run, or the one that is under way.
async fn open(engine: &Engine, asked: &Rollback, actor: &Actor) -> Result<RollbackId, Fault> {
    let ask = Ask {
        service: asked.service.clone(),
        by: actor.clone(),
        wanted: asked.to.clone(),
        reason: asked.reason.clone().or_else(|| asked.break_glass.clone()),
    };
    match engine.propose(&ask).await {
        Ok(id) => Ok(id),
        Err(StoreError::Busy(text)) => {
            let service = engine.service(&asked.service)?;
            let active = store::rollbacks::active(engine.store.reader(), &service.id).await?;
            let active = active.ok_or_else(|| Fault::new(text.clone()))?;
            super::note(&text);
            Ok(active.state.id)
        }
        Err(error) => Err(error.into()),
    }
}

async fn settle(engine: &Engine, service: &ServiceId) {
    if !engine.lease().executes() {
        return;
    }
    let mut committed = engine.store.committed();
    let done = async {
        while store::effects::unfinished_of(engine.store.reader(), service).await.is_ok_and(|open| open > 0) {
            if committed.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(5), done).await.is_err() {
        super::note("something is unfinished; the server takes it up when it starts");
    }
}
