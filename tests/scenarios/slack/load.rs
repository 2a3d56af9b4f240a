//! Two hundred rollbacks at once: every click and command is acknowledged at once all the same, and Slack's limits are kept.

use std::{sync::Arc, time::Duration};

use lastgood::{
    app::App,
    chat::Talk,
    clock::System,
    config::Config,
    delivery::Chats,
    service::{Room, Services},
    store::{self, Store},
};
use lastgood_adapters::chat::{Chat, slack};
use lastgood_core::{
    Actor,
    rollback::{Approval, Phase, Policy},
};
use lastgood_tests::{
    database::{Kind, fresh},
    process::poll_async,
    standin::slack::{APP_TOKEN, BOT_TOKEN, Slack, Who},
};
use tokio::{sync::watch, task::JoinSet};

use crate::crash::{
    life::service,
    steps::Steps,
    story::{alert, record},
    world::World,
};

const SERVICES: usize = 200;
const ROOMS: usize = 10;
/// The machine has other work now and then: what counts is the median of so many rounds.
const ROUNDS: usize = 3;
/// Commands in a round, each by somebody who waits for the answer.
const COMMANDS: usize = 400;
/// How many people type at once.
const PEOPLE: usize = 8;
/// How long each waits from one command to the next: 40 commands a second in all. People who never pause would measure how
/// long eight of them queue for this machine, not how long one waits.
const PAUSE: Duration = Duration::from_millis(200);
/// What is asked for; Slack's own limit is 3 s.
const P99: Duration = Duration::from_millis(100);

fn room(number: usize) -> String {
    format!("#incidents-{}", number % ROOMS)
}

/// As `[chats.slack]` would be.
pub fn chat(slack: &Slack, folder: &std::path::Path, rooms: Vec<String>) -> slack::Slack {
    for (name, secret) in [("bot", BOT_TOKEN), ("app", APP_TOKEN)] {
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let section = format!(
        "[chats.slack]\nurl = '{}'\ntoken = {{ file = '{}' }}\napp_token = {{ file = '{}' }}\n",
        slack.api(),
        folder.join("bot").display(),
        folder.join("app").display()
    );
    let (config, _) = Config::parse(&section, "x.toml").unwrap();
    config.chats.slack.unwrap().build(lastgood_adapters::client::client().unwrap(), rooms).unwrap()
}

/// All of them watch whether the service recovers, for as long as the test takes.
fn services(ana: &Who) -> (Services, Vec<String>) {
    let policy = Policy {
        approval: Approval::None,
        good_in_a_row: 1_000,
        recover_within: 600_000,
        ..Policy::default()
    };
    let ana = Actor::new(format!("slack:{}", ana.id), "ana");
    let names: Vec<String> = (0..SERVICES).map(|number| format!("service{number}")).collect();
    let services = names.iter().enumerate().map(|(number, name)| {
        let mut service = service(name, &World::new(true), &Arc::new(Steps::endless()), policy.clone(), &ana);
        service.at_once = u32::try_from(SERVICES).unwrap();
        service.rooms = vec![Room { platform: slack::NAME.into(), name: room(number) }];
        service
    });
    (Services::new(services.collect::<Vec<_>>()), names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rollbacks_and_every_command_is_acknowledged_at_once() {
    let rooms: Vec<String> = (0..ROOMS).map(room).collect();
    let slack = Slack::start(&rooms.iter().map(String::as_str).collect::<Vec<_>>()).await;
    slack.enforce_limits();
    let ana = slack.person("ana");
    let folder = tempfile::tempdir().unwrap();
    let database = fresh(Kind::Sqlite).await;
    let (services, names) = services(&ana);
    let adapter: Arc<dyn Chat> = Arc::new(chat(&slack, folder.path(), rooms));
    let chats = Chats::new([(slack::NAME.to_owned(), adapter)]);
    let store = Store::open(&database.url, None).await.unwrap();
    let client = lastgood_adapters::client::client().unwrap();
    let (config, _) = Config::parse("", "x.toml").unwrap();
    let (app, executor) = App::with(config, services, store, client, Arc::new(System));
    executor.join().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let own = app.clone();
    let running = tokio::spawn(async move {
        tokio::join!(executor.run(stopped.clone()), Talk::new(&own, chats).run(&own, stopped));
    });
    slack.until_sockets(2).await;
    for name in &names {
        record(&app.engine, name).await;
        app.engine.alert(&alert(name)).await.unwrap();
    }
    let db = app.engine.store.reader().clone();
    poll_async("200 rollbacks that watch", Duration::from_secs(90), || async {
        let runs = store::rollbacks::recent(&db, None, 1_000).await.unwrap();
        let watching = runs.iter().filter(|run| matches!(run.state.phase, Phase::Observing { .. }));
        (watching.count() == SERVICES).then_some(())
    })
    .await;

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(&slack, &ana).await);
    }
    rounds.sort_unstable();
    let p99 = rounds[ROUNDS / 2];
    assert!(p99 < P99, "99 % within {p99:?}, the median of {rounds:?}");
    assert_eq!(slack.limited(), 0, "Slack never had to say that it is too much");
    assert_eq!(slack.refused(), [""; 0]);
    stop.send_replace(true);
    running.await.unwrap();
}

/// Everybody types their commands. Within how long 99 % of them were acknowledged.
async fn round(slack: &Slack, who: &Who) -> Duration {
    let before = acknowledged(slack).len();
    let mut asking = JoinSet::new();
    for person in 0..PEOPLE {
        let (slack, who) = (slack.clone(), who.clone());
        asking.spawn(async move {
            let first = tokio::time::Instant::now() + PAUSE / PEOPLE as u32 * person as u32;
            let mut pace = tokio::time::interval_at(first, PAUSE);
            for number in 0..COMMANDS / PEOPLE {
                pace.tick().await;
                let told =
                    slack.slash(&who, &room(person), &format!("/rollback history service{number}")).await;
                assert!(told.private().contains(&format!("service{number}: what was deployed")));
            }
        });
    }
    asking.join_all().await;
    let mut times = acknowledged(slack).split_off(before);
    assert_eq!(times.len(), COMMANDS);
    times.sort_unstable();
    let (half, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("acknowledged: median {half:?}, 99 % within {p99:?}, slowest {:?}", times[times.len() - 1]);
    p99
}

/// How long each command waited, in the order of their delivery.
fn acknowledged(slack: &Slack) -> Vec<Duration> {
    let delivered = slack.delivered().into_iter().filter(|one| one.kind == "slash_commands");
    delivered.map(|one| one.acknowledged.expect("acknowledged")).collect()
}
