//! Projection: a rollback's new events become posts, its state becomes the thread's root card. Cursor and queue move in one
//! transaction.

use lastgood_core::{
    At, RollbackId,
    inventory::Stability,
    rollback::{self, Event, Rollback},
    verdict::Observation,
};
use rand::Rng as _;

use crate::{
    engine::Engine,
    render::{self, Incident, Post, View},
    service::Service,
    store::{
        self, Result, StoreError,
        alerts::Thread,
        incidents,
        messages::ROOT,
        rollbacks::{Committed, Saved},
        truces::Truce,
        write,
    },
};

/// The cursor that says that all rooms have been served.
pub const ALL_ROOMS: &str = "*";

/// What the slot of an incident's last message ends with.
pub(super) const CLOSED: &str = "/closed";

/// Everything about a run that its cards show.
pub struct Scene {
    service: std::sync::Arc<Service>,
    saved: Saved,
    thread: Option<Thread>,
    incident: Option<incidents::Incident>,
    progress: Option<(String, i64)>,
    history: Vec<Committed>,
    observed: Vec<(At, Observation)>,
    pagers: Vec<String>,
    gate_refuses: bool,
    truce: Option<Truce>,
}

impl Scene {
    /// # Errors
    /// As the store says, or when the service is no longer declared.
    pub async fn load(engine: &Engine, id: RollbackId) -> Result<Self> {
        let db = engine.store.reader();
        let progress = store::rollbacks::progress(db, id).await?;
        let missing = || StoreError::NotFound(format!("there is no {id}"));
        let saved = store::rollbacks::get(db, id).await?.ok_or_else(missing)?;
        let service = engine.service(&saved.state.service.0)?;
        let history = store::rollbacks::events(db, id, 0).await?;
        let history: Vec<_> = history.into_iter().filter(|committed| committed.seq <= saved.seq).collect();
        let observed = history.iter().filter_map(|c| match &c.event {
            Event::Observed { observation, .. } => Some((c.at, observation.clone())),
            _ => None,
        });
        let mark = match saved.state.failing() {
            Some(failing) => store::releases::mark_of(db, &service.id, &failing.artifact.digest).await?,
            None => None,
        };
        Ok(Self {
            observed: observed.collect(),
            thread: store::alerts::thread(db, saved.state.thread).await?,
            incident: incidents::of_thread(db, saved.state.thread).await?,
            truce: store::truces::of_thread(db, saved.state.thread).await?,
            pagers: service.pagers.iter().map(|(name, _)| name.clone()).collect(),
            gate_refuses: mark.is_some_and(|m| matches!(m.stability, Stability::Unstable { .. })),
            service,
            saved,
            progress,
            history,
        })
    }

    pub fn seq(&self) -> i64 {
        self.saved.seq
    }

    /// Revision of the progress that is shown.
    fn drawn(&self) -> i64 {
        self.progress.as_ref().map_or(0, |(_, revision)| *revision)
    }

    pub fn state(&self) -> &Rollback {
        &self.saved.state
    }

    fn view<'a>(&'a self, state: &'a Rollback) -> View<'a> {
        View {
            rollback: state,
            environment: &self.service.environment,
            incident: self
                .incident
                .as_ref()
                .map(|incident| Incident { id: incident.id, root_cause: incident.root_cause.as_deref() }),
            alerts: self.thread.as_ref().map_or(0, |t| u32::try_from(t.alerts).unwrap_or(u32::MAX)),
            progress: self.progress.as_ref().map(|(body, _)| body.as_str()).filter(|body| !body.is_empty()),
            observed: &self.observed,
            pagers: &self.pagers,
            annotations: self.thread.as_ref().map_or(&[], |t| t.annotations.as_slice()),
            dependencies: &[],
            gate_refuses: self.gate_refuses,
            truce: self.truce.as_ref(),
        }
    }

    pub fn root(&self) -> lastgood_core::card::Card {
        render::root(&self.view(&self.saved.state))
    }

    /// The posts of events after `seq`, each with the number of its event.
    pub fn posts_after(&self, seq: i64) -> Vec<(i64, Vec<Post>)> {
        let mut posts = Vec::new();
        let mut before: Option<Rollback> = None;
        for Committed { seq: number, at, event } in &self.history {
            let after = match (&before, event) {
                (None, Event::Opened(opening)) => Some(rollback::open(opening).state),
                (Some(state), event) => rollback::step(state, event, *at).ok().map(|step| step.state),
                (None, _) => None,
            };
            let Some(after) = after else {
                // An event of a build that decided otherwise: the saved state, which is authoritative, still gets drawn.
                tracing::warn!(rollback = %self.saved.state.id, seq = number, "event can't be replayed; not posted");
                continue;
            };
            if *number > seq {
                posts.push((*number, render::posts(before.as_ref(), event, &after, &self.view(&after))));
            }
            before = Some(after);
        }
        posts
    }
}

/// `news` is the revision that was there before anything was read: what comes later is told in another round.
pub(super) async fn project(engine: &Engine, id: RollbackId, news: i64) -> Result<()> {
    let scene = Scene::load(engine, id).await?;
    let thread = scene.state().thread;
    // The root card shows the newest run of the thread, whichever run has news.
    let newest = store::rollbacks::newest_in(engine.store.reader(), thread).await?;
    let newer = match newest {
        Some(newest) if newest.state.id != id => Some(Scene::load(engine, newest.state.id).await?),
        _ => None,
    };
    let drawn_from = newer.as_ref().unwrap_or(&scene);
    let root = drawn_from.root();
    let rooms: Vec<String> = scene.service.rooms.iter().map(ToString::to_string).collect();
    let drawn = scene.drawn();
    let closed = closed_post(&scene);
    let truce = truce_post(&scene);
    write!(engine.store, |tx| {
        tx.lock(&scene.service.id).await?;
        for told in [&scene, drawn_from] {
            // Somebody else has told more meanwhile: what was read here is old, and an old card must not come back.
            if tx.cursor(told.state().id, ALL_ROOMS).await? > (told.seq(), told.drawn()) {
                return Ok(());
            }
        }
        for room in &rooms {
            let (seq, _) = tx.cursor(id, room).await?;
            tx.put_message(thread, room, ROOT, &nonce(), &root, false).await?;
            for (number, posts) in scene.posts_after(seq) {
                for (index, post) in posts.iter().enumerate() {
                    let slot = format!("{id}/{number}/{index}");
                    tx.put_message(thread, room, &slot, &nonce(), &post.card, post.broadcast).await?;
                }
            }
            for (slot, post) in [&closed, &truce].into_iter().flatten() {
                tx.put_message(thread, room, slot, &nonce(), &post.card, post.broadcast).await?;
            }
            tx.move_cursor(id, room, scene.seq(), drawn).await?;
        }
        tx.move_cursor(id, ALL_ROOMS, scene.seq(), drawn).await?;
        tx.told(id, news).await
    })
}

/// Closing an incident is no event of a rollback, and yet worth a line in its thread.
fn closed_post(scene: &Scene) -> Option<(String, Post)> {
    let incident = scene.incident.as_ref().filter(|incident| incident.closed_at.is_some())?;
    let shown = Incident { id: incident.id, root_cause: incident.root_cause.as_deref() };
    let by = incident.closed_by.clone().unwrap_or_default();
    let name = by.split_once(':').map_or(by.as_str(), |(_, name)| name).to_owned();
    let post = render::incident_closed(shown, &lastgood_core::Actor::new(by, name), incident.not_the_release);
    Some((format!("{}{CLOSED}", incident.id), post))
}

/// Nor is what becomes of those who stand still for it.
fn truce_post(scene: &Scene) -> Option<(String, Post)> {
    let truce = scene.truce.as_ref()?;
    Some((format!("{}/truce/{}", scene.saved.state.thread, truce.revision), render::truce(truce)?))
}

/// Names one try to send one message, so that a platform can recognise a repetition.
pub(crate) fn nonce() -> String {
    format!("{:016x}", rand::rng().random::<u64>())
}
