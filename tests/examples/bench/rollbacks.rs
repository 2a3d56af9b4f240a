//! Whole rollbacks, one after the other, each from a webhook over HTTP to its end.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood::{
    app::App,
    chat::Talk,
    clock,
    delivery::{self, Chats, Delivery},
    desk::Desk,
    http,
    render::action::{Action, Verb},
    store::rollbacks as stored,
};
use lastgood_adapters::chat::{Answer, Inbox, Incoming, What};
use lastgood_core::{
    Actor, RollbackId,
    rollback::{End, Phase},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use super::{
    floor,
    spy::{Call, Calls, Handed, Recorder},
    table::{Sample, Table},
    world::{TOKEN, World, service},
};

const LIMIT: Duration = Duration::from_secs(30);

/// One rollback's times.
struct Run {
    proposed: Duration,
    carried: Duration,
    verified: Duration,
    whole: Duration,
    steps: Vec<(&'static str, Duration)>,
}

struct Bench {
    app: App,
    calls: Calls,
    desk: Desk,
    handed: mpsc::UnboundedReceiver<Handed>,
    http: reqwest::Client,
    alerts: String,
}

pub async fn measure(table: &mut Table, rollbacks: usize, warm_up: usize) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let calls = Calls::default();
    let (app, executor) = world.app(folder.path(), rollbacks + warm_up, &calls).await;
    executor.join().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let (sender, handed) = mpsc::unbounded_channel();
    let chats = Chats::new([("terminal".to_owned(), Arc::new(Recorder(sender)) as _)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let alerts = format!("http://{}/v1/alerts/alertmanager", listener.local_addr().unwrap());
    let tasks = [
        tokio::spawn(executor.run(stopped.clone())),
        tokio::spawn(Delivery::new(app.engine.clone(), chats.clone()).run(stopped.clone())),
    ];
    let serving = tokio::spawn(http::serve(
        listener,
        http::router(app.clone(), Talk::new(&app, chats.clone())),
        http::Listening::plain(app.config.http.connections),
        stopped,
    ));
    let desk = Desk::new(app.engine.clone(), chats, "terminal");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut bench = Bench { app, calls, desk, handed, http, alerts };

    let mut runs = Vec::new();
    for number in 0..rollbacks + warm_up {
        let run = tokio::time::timeout(LIMIT, bench.run(number)).await.expect("a rollback in time");
        if number >= warm_up {
            runs.push(run);
        }
        let map = world.haproxy.command(&format!("show map {}", world.haproxy.map()));
        assert!(map.contains(&format!("{} be_blue", service(number))), "{map}");
    }
    let by_hand = floor::by_hand(&world.haproxy);
    let transactions = floor::transactions(folder.path()).await;
    report(table, &runs, &by_hand, &transactions);
    stop.send_replace(true);
    for task in tasks {
        task.await.unwrap();
    }
    serving.await.unwrap().unwrap();
    bench.app.engine.store.close().await;
}

impl Bench {
    async fn run(&mut self, number: usize) -> Run {
        self.calls.take();
        let name = service(number);
        let alerted = Instant::now();
        self.alert(&name).await;
        let (proposed, action) = self.proposal().await;
        let id = action.rollback;

        let approved = Instant::now();
        let press = What::Press { action: action.to_string(), inputs: BTreeMap::new() };
        let actor = Actor::new("os:ana", "ana");
        let incoming =
            Incoming { delivery: name.clone(), actor, room: String::new(), thread: None, what: press };
        assert_eq!(self.desk.take(incoming).await.unwrap(), Answer::Done);
        let clicked = approved.elapsed();
        let ended = self.end(id).await;
        self.told(id).await;

        let calls = self.calls.take();
        let after: Vec<Call> = calls.into_iter().filter(|call| call.from >= approved).collect();
        let one = |what: &str| *after.iter().find(|call| call.what == what).expect(what);
        let (applied, settled) = (one("apply"), one("progress"));
        let last_look = *after.iter().rfind(|call| call.what == "observe").unwrap();
        let first = *after.iter().find(|call| call.what == "observe").unwrap();
        let preflight = one("preflight");
        Run {
            proposed: proposed - alerted,
            carried: applied.to - approved,
            verified: settled.to - approved,
            whole: (settled.to - alerted) + (ended - last_look.from),
            steps: vec![
                ("click answered", clicked),
                ("click → reread begins", first.from - approved),
                ("reread: HAProxy", first.to - first.from),
                ("reread → preflight begins (2 commits, registry)", preflight.from - first.to),
                ("preflight: HAProxy", preflight.to - preflight.from),
                ("preflight → apply begins", applied.from - preflight.to),
                ("apply: HAProxy", applied.to - applied.from),
                ("apply → read back begins", settled.from - applied.to),
                ("read back: HAProxy", settled.to - settled.from),
            ],
        }
    }

    async fn alert(&self, service: &str) {
        // Had it fired for longer, no release would count as having been quiet.
        let since = clock::rfc3339(self.app.engine.now());
        let body = serde_json::json!({
            "version": "4", "status": "firing", "receiver": "bench", "groupKey": "{}", "truncatedAlerts": 0,
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alerts.example.com",
            "alerts": [{
                "status": "firing", "labels": { "alertname": "High5xx", "service": service },
                "annotations": { "summary": "too many 5xx" }, "startsAt": since,
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example.com", "fingerprint": service,
            }],
        });
        let request = self.http.post(&self.alerts).bearer_auth(TOKEN).body(body.to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    }

    /// The first card with a button that approves, and when chat got it.
    async fn proposal(&mut self) -> (Instant, Action) {
        loop {
            let handed = self.handed.recv().await.unwrap();
            let actions =
                handed.card.buttons.iter().filter_map(|button| button.action.parse::<Action>().ok());
            let approve = |action: &Action| matches!(action.verb, Verb::Approve | Verb::ApproveAnyway);
            if let Some(action) = actions.into_iter().find(approve) {
                return (handed.at, action);
            }
        }
    }

    /// Reads one row for each commit: little beside what it waits for.
    async fn end(&self, id: RollbackId) -> Instant {
        let mut committed = self.app.engine.store.committed();
        loop {
            committed.changed().await.unwrap();
            let saved = stored::get(self.app.engine.store.reader(), id).await.unwrap().unwrap();
            match &saved.state.phase {
                Phase::Ended { end } => {
                    assert_eq!(*end, End::Recovered);
                    return Instant::now();
                }
                Phase::Escalated { why } => panic!("{id} escalated: {why:?}"),
                _ => {}
            }
        }
    }

    async fn told(&mut self, id: RollbackId) {
        while !delivery::caught_up(&self.app.engine, id).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while self.handed.try_recv().is_ok() {}
    }
}

fn report(table: &mut Table, runs: &[Run], by_hand: &Sample, transactions: &floor::Transactions) {
    let of = |time: fn(&Run) -> Duration| Sample::times(runs.iter().map(time));
    let hand = Some(("by hand", by_hand.p50()));
    let row = Some(("one-row transaction", transactions.one_row.p50()));
    table.add("alert received → proposal handed to chat, ms", &of(|run| run.proposed), Some(5.0), row);
    table.add(
        "approval → HAProxy carries the new route, read back, ms",
        &of(|run| run.carried),
        Some(10.0),
        hand,
    );
    table.add("approval → settled, as the bot judges it, ms", &of(|run| run.verified), None, hand);
    table.add("whole rollback less the observation window, ms", &of(|run| run.whole), Some(50.0), hand);
    table.add("floor: HAProxy command sent by hand, read back, ms", by_hand, None, None);
    table.add("floor: one empty transaction, ms", &transactions.empty, None, None);
    table.add("floor: one transaction of one row (fsync), ms", &transactions.one_row, None, None);
    eprintln!("  between approval and the read back, p50 in ms:");
    for (index, (name, _)) in runs[0].steps.iter().enumerate() {
        let sample = Sample::times(runs.iter().map(|run| run.steps[index].1));
        eprintln!("    {:7.2}  {name}", sample.p50());
    }
}
