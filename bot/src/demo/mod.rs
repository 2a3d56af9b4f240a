//! The main job in a terminal, with nothing to install and no account anywhere: the real engine, store and delivery, in front
//! of an embedded world. Only the world is made up.

mod story;
pub mod world;

use std::{io::Write as _, sync::Arc, time::Duration};

use anyhow::Context as _;
use lastgood_adapters::chat::{Chat, terminal::Terminal};
use lastgood_core::{
    Actor, RollbackId, ServiceId,
    card::{Card, Colour},
    inventory::gate,
    rollback::{End, Phase, Rollback, Why},
};
use tokio::sync::watch;

use crate::{
    clock::{Clock as _, System},
    delivery::{self, Chats, Delivery},
    desk::Desk,
    engine::Engine,
    follow::Yes,
    service::Services,
    store::{self, Store},
};
use world::{Scenario, World};

/// How `lastgood demo` was called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub scenario: Scenario,
    /// Approve without asking.
    pub yes: bool,
    /// Print committed events instead of the thread.
    pub json: bool,
}

const PLATFORM: &str = "terminal";
/// Nothing in the demo takes longer; if something does, that is a bug to be told and not to be waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo to its end.
///
/// # Errors
/// When the world can't be built, or what should have happened did not.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let now = Arc::new(|| System.now());
    let world =
        World::start(options.scenario, now.clone()).await.context("the demo's world does not start")?;
    let folder = tempfile::tempdir().context("no temporary folder for the demo's database")?;
    let url = format!("sqlite:{}", folder.path().join("demo.db").display());
    let store = Store::open(&url, None).await?;
    let terminal = Arc::new(Terminal::stdio(now));
    let services = Services::new([story::service(&world, terminal.actor())?]);
    let (engine, executor) = Engine::new(store, services, Arc::new(System), Duration::from_secs(10));
    story::record(&engine, &world).await?;
    executor.join().await?;

    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(executor.run(stopped.clone()));
    let told = Telling::begin(&engine, &terminal, options, &stopped);
    let act = Act { engine: engine.clone(), terminal: terminal.clone(), desk: told.desk.clone(), options };
    let played = act.play(&world).await;

    stop.send_replace(true);
    told.end().await;
    running.await.context("the executor ended badly")?;
    terminal.close();
    if let (false, Ok(ending)) = (options.json, &played) {
        print(&ending.epilogue)?;
    }
    engine.store.close().await;
    world.stop().await;
    played.and_then(|ending| ending.verdict)
}

/// Where the story is told: a thread in the terminal, or a line of JSON for each event.
struct Telling {
    desk: Arc<Desk>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Telling {
    fn begin(
        engine: &Engine,
        terminal: &Arc<Terminal>,
        options: Options,
        stopped: &watch::Receiver<bool>,
    ) -> Self {
        let chat: Arc<dyn Chat> = terminal.clone();
        let chats = Chats::new([(PLATFORM.to_owned(), chat.clone())]);
        let desk = Arc::new(Desk::new(engine.clone(), chats.clone(), PLATFORM));
        let mut tasks = Vec::new();
        if options.json {
            tasks.push(tokio::spawn(print_events(engine.clone(), stopped.clone())));
        } else {
            tasks.push(tokio::spawn(Delivery::new(engine.clone(), chats).run(stopped.clone())));
            let (inbox, mut stopped) = (desk.clone(), stopped.clone());
            tasks.push(tokio::spawn(async move {
                tokio::select! {
                    () = chat.listen(inbox) => {}
                    () = async { drop(stopped.wait_for(|stop| *stop).await) } => {}
                }
            }));
        }
        Self { desk, tasks }
    }

    async fn end(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a part of the demo ended badly");
            }
        }
    }
}

struct Ending {
    epilogue: String,
    verdict: anyhow::Result<()>,
}

/// The part of the person, and of the monitoring.
struct Act {
    engine: Engine,
    terminal: Arc<Terminal>,
    desk: Arc<Desk>,
    options: Options,
}

impl Act {
    async fn play(&self, world: &World) -> anyhow::Result<Ending> {
        let alert =
            tokio::time::timeout(LIMIT, world.alert()).await.context("the world never failed enough")?;
        self.engine.alert(&story::alert(&alert)).await?;
        let id = self.first_run().await?;
        // Until the demo has ended, monitoring goes on, and says so when the errors are over.
        tokio::select! {
            ending = self.conduct(id) => ending,
            failed = self.monitor(world, &alert) => match failed? {},
        }
    }

    async fn monitor(&self, world: &World, alert: &world::Alert) -> anyhow::Result<std::convert::Infallible> {
        world.over().await;
        self.engine.alert(&story::over(alert, self.engine.now())).await?;
        Ok(std::future::pending().await)
    }

    async fn conduct(&self, id: RollbackId) -> anyhow::Result<Ending> {
        let by_itself = self.options.yes || self.options.json || !self.terminal.interactive();
        if by_itself {
            let ended = tokio::time::timeout(LIMIT, self.press_by_itself(id)).await;
            ended.context("the demo did not end in time")??;
        } else {
            self.terminal.ended().await;
        }
        self.all_told(id).await?;
        self.ending(id).await
    }

    async fn first_run(&self) -> anyhow::Result<RollbackId> {
        let service = ServiceId::from(world::SERVICE);
        let active = store::rollbacks::active(self.engine.store.reader(), &service).await?;
        Ok(active.context("the alert opened no rollback")?.state.id)
    }

    /// Approves what is proposed; returns when nothing more happens without a person's choice.
    async fn press_by_itself(&self, id: RollbackId) -> anyhow::Result<()> {
        let mut committed = self.engine.store.committed();
        let mut yes = Yes::new(self.desk.clone(), self.terminal.actor().clone(), story::ROOM, None);
        loop {
            committed.mark_unchanged();
            let state = self.state(id).await?;
            if matches!(state.phase, Phase::Proposed { .. }) {
                // What is put to the vote is first shown to whoever watches.
                self.all_told(id).await?;
            }
            if yes.press(&state).await? {
                return Ok(());
            }
            committed.changed().await.context("the store ended")?;
        }
    }

    async fn state(&self, id: RollbackId) -> anyhow::Result<Rollback> {
        let saved = store::rollbacks::get(self.engine.store.reader(), id).await?;
        Ok(saved.context("the rollback is gone")?.state)
    }

    /// Until all that was committed has been shown.
    async fn all_told(&self, id: RollbackId) -> anyhow::Result<()> {
        if self.options.json {
            return Ok(());
        }
        let mut committed = self.engine.store.committed();
        let shown = async {
            while !delivery::caught_up(&self.engine, id).await? {
                committed.changed().await.context("the store ended")?;
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, shown).await.context("the thread is not shown in time")?
    }

    /// What is true at the end: the incident, and the gate's answer about what failed.
    async fn ending(&self, id: RollbackId) -> anyhow::Result<Ending> {
        let state = self.state(id).await?;
        let mut card = Card::new(Colour::Neutral, "Afterwards");
        let mut refused = false;
        if let Some(failing) = state.failing() {
            let answer = self.engine.gate(&state.service.0, &failing.artifact.digest).await?;
            refused = matches!(answer, gate::Answer::Denied { .. });
            card = card.line(format!("gate: may {} be deployed again?  {}", failing.artifact, said(&answer)));
        }
        for incident in store::incidents::list(self.engine.store.reader(), false).await? {
            card = card.line(format!(
                "{} of {} is open: it closes only with a root cause",
                incident.id, incident.service
            ));
        }
        let verdict = match (self.options.scenario, &state.phase) {
            _ if !self.options.yes && !self.options.json && self.terminal.interactive() => Ok(()),
            (Scenario::Recovers, Phase::Ended { end: End::Recovered }) if refused => Ok(()),
            (Scenario::TargetBroken, Phase::Escalated { why: Why::NotRecovered { .. } })
                if state.pages.iter().any(|page| page.delivered == Some(true)) =>
            {
                Ok(())
            }
            (_, phase) => Err(anyhow::anyhow!("the demo ended {}, which it should not", phase.word())),
        };
        Ok(Ending { epilogue: format!("\n{}", card.plain()), verdict })
    }
}

fn said(answer: &gate::Answer) -> String {
    match answer {
        gate::Answer::Allowed { reasons } => format!("allowed: {}", reasons.join("; ")),
        gate::Answer::Denied { reasons } => format!("denied: {}", reasons.join("; ")),
        gate::Answer::CouldNotTell { reasons } => format!("could not tell: {}", reasons.join("; ")),
    }
}

/// Every committed event, in the order of its rollback, as a line of JSON.
async fn print_events(engine: Engine, mut stopped: watch::Receiver<bool>) {
    let mut committed = engine.store.committed();
    let mut seen = std::collections::BTreeMap::<RollbackId, i64>::new();
    let mut last = false;
    loop {
        if let Err(error) = print_new_events(&engine, &mut seen).await {
            tracing::error!(%error, "events can't be printed");
            return;
        }
        if last {
            return;
        }
        tokio::select! {
            () = async { drop(stopped.wait_for(|stop| *stop).await) } => last = true,
            changed = committed.changed() => last = changed.is_err(),
        }
    }
}

async fn print_new_events(
    engine: &Engine,
    seen: &mut std::collections::BTreeMap<RollbackId, i64>,
) -> anyhow::Result<()> {
    let mut runs = store::rollbacks::recent(engine.store.reader(), None, 50).await?;
    runs.reverse();
    for run in runs {
        let after = seen.entry(run.state.id).or_insert(0);
        for event in store::rollbacks::events(engine.store.reader(), run.state.id, *after).await? {
            *after = event.seq;
            print(&event.line(run.state.id)?)?;
        }
    }
    Ok(())
}

/// A reader that has gone away is no error of the demo.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The person at the keyboard.
pub fn approvers(actor: &Actor) -> Vec<String> {
    vec![actor.id.clone()]
}
