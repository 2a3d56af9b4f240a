//! A service `checkout`: v2.5.0 is live on green since six minutes before the alert, v2.4.1 waits in blue.

use std::fmt::Write as _;

use lastgood_core::{
    Actor, Artifact, At, Digest, IncidentId, ReleaseId, RollbackId, Shares, ThreadId,
    card::{Card, Line, Span},
    inventory::{
        choice::{Candidate, Choice, Skip},
        live::{Live, Running},
        suspect::Suspect,
        target::Target,
    },
    rollback::{
        Alerting, Applied, Decision, Event, Fetched, Kind, Opening, Policy, Preflighted, Refusal, Rollback,
        ShiftReading, Standing, Survey, Surveyed, TrafficNow, open, step,
    },
    verdict::{Measured, Observation, Probed},
};

use crate::render::{Incident, View, posts, root};

pub const MIN: At = 60_000;

pub fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

pub fn artifact(version: &str, letter: char) -> Artifact {
    Artifact { version: version.into(), digest: digest(letter) }
}

pub fn actor(name: &str) -> Actor {
    Actor::new(format!("test:{name}"), name)
}

pub fn approver() -> Standing {
    Standing { approver: true, ..Standing::default() }
}

pub fn to(pool: &str) -> Shares {
    ["amber", "blue", "green"].map(|name| (name.to_owned(), if name == pool { 100 } else { 0 })).into()
}

pub fn candidate(version: &str, letter: char, skip: Option<Skip>) -> Candidate {
    let pools = match letter {
        'b' => vec!["blue".to_owned()],
        'e' => vec!["amber".to_owned()],
        _ => vec![],
    };
    let live = live();
    let target = pools.first().and_then(|pool| Target::in_pool(&artifact(version, letter), pool, &live));
    Candidate {
        release: ReleaseId(i64::from(u32::from(letter))),
        artifact: artifact(version, letter),
        at: -26 * 60 * MIN,
        possible: target.is_some(),
        target,
        skip,
        irreversible: None,
        because: Some("it was live and quiet for 9 d".into()),
        pools,
        warning: None,
    }
}

pub fn live() -> Live {
    Live {
        shares: to("green"),
        pools: [
            ("amber".into(), Running::Recorded { digest: digest('e') }),
            ("blue".into(), Running::Seen { digest: digest('b') }),
            ("green".into(), Running::Seen { digest: digest('a') }),
        ]
        .into(),
        ..Live::default()
    }
}

pub fn survey() -> Survey {
    let live = live();
    let candidates = vec![
        candidate("v2.4.3", 'd', Some(Skip::Unstable { why: "RB-40 rolled it back".into() })),
        candidate("v2.4.2", 'c', Some(Skip::NotDeployed)),
        candidate("v2.4.1", 'b', None),
        candidate("v2.3.9", 'e', None),
    ];
    let failing = Suspect {
        artifact: artifact("v2.5.0", 'a'),
        since: Some(-6 * MIN),
        share: 100,
        url: Some("https://ci.example.com/42".into()),
        by: Some("ci".into()),
    };
    let choice = Choice { failing: Some(failing), candidates, chosen: Some(digest('b')), notes: vec![] };
    Survey { choice, live, made_as: None, drift: vec![], notes: vec![], doubt: None, baselines: vec![] }
}

pub fn opening() -> Opening {
    Opening {
        id: RollbackId(42),
        service: "checkout".into(),
        thread: ThreadId(7),
        kind: Kind::Back,
        parent: None,
        policy: Policy::default(),
        at: 2_000,
        by: None,
        reason: None,
        alert: Some(Alerting {
            title: "CheckoutErrorRate is above 5 %".into(),
            since: 0,
            firing: true,
            heard: false,
        }),
        wanted: None,
        tried: Default::default(),
        commander: None,
        baselines: vec![],
        previous_end: None,
    }
}

pub fn found(survey: Survey) -> Event {
    Event::Surveyed { found: Surveyed::Found(Box::new(survey)) }
}

pub fn approve(name: &str, revision: u32) -> Event {
    Event::Approved { by: actor(name), standing: approver(), revision, confirmed: false, reason: None }
}

pub fn confirm(name: &str, revision: u32) -> Event {
    Event::Approved { by: actor(name), standing: approver(), revision, confirmed: true, reason: None }
}

pub fn unchanged() -> Event {
    Event::DecisionRead { decision: Decision::Unchanged }
}

pub fn present() -> Event {
    Event::Fetched { fetched: Fetched::Present { detail: String::new() } }
}

pub fn ready() -> Event {
    Event::PreflightDone { preflight: prepared("green") }
}

/// Preflight passed, with traffic on this pool.
pub fn prepared(pool: &str) -> Preflighted {
    Preflighted::Ready { before: to(pool), warnings: vec![], pools: live().pools }
}

/// All traffic was read back on this pool.
pub fn settled_on(pool: &str) -> Event {
    let reading = ShiftReading::Settled { shares: to(pool), warnings: vec![], pools: live().pools };
    Event::ShiftRead { reading }
}

pub fn accepted() -> Event {
    Event::Applied { applied: Applied::Accepted }
}

pub fn settled() -> Event {
    settled_on("blue")
}

pub fn seen(rate: Option<f64>, covers_from: At, healthy: bool) -> Event {
    let metric = Measured {
        name: "error rate".into(),
        rate,
        baseline: Some(0.004),
        limit: 0.009,
        covers_from,
        detail: rate.is_none().then(|| "prometheus answered 502".into()),
    };
    let detail = if healthy { "200 in 12 ms" } else { "503" };
    let probe = Probed { name: "shop.example.com/healthz".into(), healthy, detail: detail.into() };
    let observation = Observation { probes: vec![probe], metrics: vec![metric] };
    Event::Observed { observation, traffic: TrafficNow::AsExpected }
}

/// From the survey to the watch, with one approval.
pub fn shifted() -> Vec<Event> {
    vec![found(survey()), approve("ana", 1), unchanged(), present(), ready(), accepted(), settled()]
}

/// A conversation as the thread saw it.
pub struct Talk {
    pub run: Rollback,
    pub at: At,
    pub observed: Vec<(At, Observation)>,
    pub dependencies: Vec<String>,
    pub progress: Option<String>,
    pub said: String,
}

impl Talk {
    pub fn new(opening: Opening) -> Self {
        let run = open(&opening).state;
        let at = opening.at;
        let mut talk =
            Self { run, at, observed: vec![], dependencies: vec![], progress: None, said: String::new() };
        talk.speak(None, &Event::Opened(Box::new(opening)));
        talk
    }

    pub fn view<'a>(&'a self, rest: &'a Around) -> View<'a> {
        View {
            rollback: &self.run,
            environment: "production",
            incident: self.run.incident.then_some(Incident { id: IncidentId(7), root_cause: None }),
            alerts: 3,
            progress: self.progress.as_deref(),
            observed: &self.observed,
            pagers: &rest.pagers,
            annotations: &rest.annotations,
            dependencies: &self.dependencies,
            truce: None,
            gate_refuses: self.run.marked,
        }
    }

    pub fn try_take(&mut self, event: &Event) -> Result<(), Refusal> {
        self.at += 5_000;
        let next = step(&self.run, event, self.at)?.state;
        let before = std::mem::replace(&mut self.run, next);
        if let Event::Observed { observation, .. } = event {
            self.observed.push((self.at, observation.clone()));
        }
        self.speak(Some(&before), event);
        Ok(())
    }

    pub fn take(mut self, event: Event) -> Self {
        self.try_take(&event).unwrap();
        self
    }

    pub fn all(self, events: impl IntoIterator<Item = Event>) -> Self {
        events.into_iter().fold(self, Self::take)
    }

    pub fn later(mut self, by: At) -> Self {
        self.at += by;
        self
    }

    fn speak(&mut self, before: Option<&Rollback>, event: &Event) {
        let around = Around::default();
        let said: Vec<_> = posts(before, event, &self.run, &self.view(&around));
        for post in said {
            assert!(post.card.buttons.is_empty(), "only the root card has buttons");
            let mark = if post.broadcast { "(also in the room) " } else { "" };
            writeln!(self.said, "[{}] {mark}{}\n", clock(self.at), draw(&post.card)).unwrap();
        }
    }

    /// Writes down what the root card says now.
    pub fn look(mut self) -> Self {
        let around = Around::default();
        let card = root(&self.view(&around));
        let drawn = draw(&card).replace('\n', "\n  | ");
        writeln!(self.said, "  | {drawn}\n").unwrap();
        self
    }
}

pub struct Around {
    pub pagers: Vec<String>,
    pub annotations: Vec<(String, String)>,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            pagers: vec!["oncall".into(), "backup".into()],
            annotations: vec![
                ("summary".into(), "1 of 9 orders fails".into()),
                ("runbook_url".into(), "https://runbooks.example.com/checkout".into()),
            ],
        }
    }
}

/// Minutes and seconds since the alert.
fn clock(at: At) -> String {
    let sign = if at < 0 { "-" } else { "" };
    format!("{sign}{}:{:02}", at.abs() / MIN, at.abs() % MIN / 1000)
}

fn spans(line: &Line) -> String {
    let one = |span: &Span| match span {
        Span::Text(text) => text.clone(),
        Span::Strong(text) => format!("*{text}*"),
        Span::Code(text) => format!("`{text}`"),
        Span::Mention(actor) => format!("@{}", actor.name),
        Span::Time(at) => clock(*at),
        Span::Link { text, url } => format!("[{text}]({url})"),
    };
    line.iter().map(one).collect()
}

pub fn draw(card: &Card) -> String {
    let mut out = format!("# {}", card.title);
    for line in &card.text {
        write!(out, "\n{}", spans(line)).unwrap();
    }
    for field in &card.fields {
        write!(out, "\n{}: {}", field.name, spans(&field.value)).unwrap();
    }
    if !card.buttons.is_empty() {
        let labels = card.buttons.iter().map(|b| {
            let dots = if b.form.is_some() { "…" } else { "" };
            format!("[{} {}{dots}]", b.key, b.label)
        });
        write!(out, "\n{}", labels.collect::<Vec<_>>().join(" ")).unwrap();
    }
    out
}
