//! One storm on one build and one database.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use lastgood::clock::{self, Clock as _};
use lastgood_tests::{
    database::{self, Kind},
    process::free_port,
    shop::artifact,
};
use serde_json::{Value, json};
use sqlx::AnyPool;
use tokio::task::JoinSet;

use super::{OF_ONE, RATE, SERVICES, Storm, send};
use crate::{
    program,
    table::Sample,
    world::{self, BAD, GOOD, World},
};
use send::{Sender, Sent};

/// Services outside of the storm that alert before it, and during it.
const QUIET: usize = 10;
const MEANWHILE: usize = 10;
/// What a proposal may take before it is given up: long enough to see by how much the aim is missed.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

pub struct Place<'a> {
    pub stormy: &'a World,
    /// Of those outside of the storm.
    pub calm: &'a World,
    pub folder: &'a Path,
    pub kind: Kind,
    pub build: &'a Path,
}

pub struct Outcome {
    sent: Vec<Sent>,
    quiet: Sample,
    meanwhile: Sample,
    threads: Threads,
    whole_group: Option<(Sent, usize)>,
    start: Duration,
    memory: f64,
}

/// What is in the database when the storm is over.
struct Threads {
    services: i64,
    most_of_one: i64,
    alerts: i64,
}

/// A line of the table.
pub struct Row {
    pub figure: &'static str,
    pub aim: &'static str,
    pub cell: fn(&Outcome) -> String,
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn met(value: f64, aim: f64) -> String {
    number(value) + if value <= aim { "" } else { " ✗" }
}

impl Outcome {
    pub const ROWS: [Row; 12] = [
        Row { figure: "acknowledged, p50, ms", aim: "", cell: |of| number(of.waits().p50()) },
        Row { figure: "acknowledged, 99 %, ms", aim: "100", cell: |of| met(of.waits().at(0.99), 100.0) },
        Row { figure: "acknowledged, max, ms", aim: "", cell: |of| number(of.waits().at(1.0)) },
        Row { figure: "alerts sent", aim: "", cell: |of| of.alerts(|_| true).to_string() },
        Row { figure: "of them never taken", aim: "0", cell: Self::lost },
        Row { figure: "requests turned away and sent again", aim: "", cell: |of| of.again().to_string() },
        Row { figure: "alerts in the database, less those acknowledged", aim: "≥ 0", cell: Self::kept },
        Row { figure: "threads of one service, at most", aim: "1", cell: Self::threads },
        Row {
            figure: "proposal of another service, quiet → during the storm, p50, ms",
            aim: "× 2",
            cell: Self::others,
        },
        Row { figure: "all alerts of one service in one request", aim: "2xx", cell: Self::group },
        Row {
            figure: "start to ready, with all services, ms",
            aim: "",
            cell: |of| number(of.start.as_secs_f64() * 1e3),
        },
        Row { figure: "resident memory at most, MB", aim: "150", cell: |of| met(of.memory, 150.0) },
    ];

    fn waits(&self) -> Sample {
        Sample::times(self.sent.iter().map(|sent| sent.took))
    }

    fn alerts(&self, which: impl Fn(&Sent) -> bool) -> usize {
        self.sent.iter().filter(|sent| which(sent)).map(|sent| sent.alerts).sum()
    }

    fn again(&self) -> u32 {
        self.sent.iter().map(|sent| sent.turned_away).sum()
    }

    fn lost(&self) -> String {
        let lost = self.alerts(|sent| !sent.is_taken());
        format!("{lost}{}", if lost > 0 { " ✗" } else { "" })
    }

    fn kept(&self) -> String {
        let surplus = self.threads.alerts - i64::try_from(self.alerts(Sent::is_taken)).unwrap();
        format!("{surplus}{}", if surplus < 0 { " ✗" } else { "" })
    }

    fn threads(&self) -> String {
        let wrong = if self.threads.most_of_one == 1 { "" } else { " ✗" };
        format!("{} ({} services){wrong}", self.threads.most_of_one, self.threads.services)
    }

    fn others(&self) -> String {
        let (quiet, meanwhile) = (self.quiet.p50(), self.meanwhile.p50());
        let factor = meanwhile / quiet;
        let wrong = if factor <= 2.0 { "" } else { " ✗" };
        let most = number(self.meanwhile.at(1.0));
        format!("{} → {} (max {most}), × {factor:.1}{wrong}", number(quiet), number(meanwhile))
    }

    fn group(&self) -> String {
        let Some((sent, size)) = &self.whole_group else { return String::new() };
        let status = sent.status.map_or("no answer".to_owned(), |status| status.to_string());
        let wrong = if sent.is_taken() { "" } else { " ✗" };
        let (kilobytes, took) = (size / 1_000, number(sent.took.as_secs_f64() * 1e3));
        format!("{status}, {took} ms for {kilobytes} kB{wrong}")
    }
}

/// A service outside of the storm.
fn other(number: usize) -> String {
    format!("other-{number:02}")
}

pub async fn measure(place: &Place<'_>, storm: Storm, lasts: Duration) -> Outcome {
    let folder = tempfile::tempdir_in(place.folder).unwrap();
    let database = database::fresh(place.kind).await;
    let port = free_port();
    let in_storm: Vec<String> = match storm {
        Storm::Wide => (0..SERVICES).map(world::service).collect(),
        Storm::Deep => vec![world::service(0)],
    };
    let others: Vec<String> = (0..QUIET + MEANWHILE).map(other).collect();
    let mut config = world::head(folder.path(), &database.url, port);
    for (world, names) in [(place.stormy, &in_storm), (place.calm, &others)] {
        for name in names {
            world.route(name);
            config += &world.section(name);
        }
    }
    std::fs::write(folder.path().join("lastgood.toml"), config).unwrap();
    let (process, start) = program::start(place.build, folder.path(), port);
    let sender = Sender { http: reqwest::Client::new(), base: format!("http://127.0.0.1:{port}").into() };
    seed(&sender, in_storm.iter().chain(&others)).await;
    let db = connect(&database.url).await;
    let (quiet, _) = others_alert(&sender, &db, &others[..QUIET], Duration::from_secs(4)).await;
    let alerts = alerts(storm, &in_storm, lasts);
    let requests = alerts.chunks(storm.grouped()).map(<[_]>::to_vec).collect();
    let (sent, (meanwhile, late)) =
        tokio::join!(sender.storm(requests, lasts), others_alert(&sender, &db, &others[QUIET..], lasts));
    if late > 0 {
        eprintln!("    {late} other services had no proposal within {} s", PATIENCE.as_secs());
    }
    let threads = count(&db).await;
    let whole_group = match storm {
        Storm::Wide => None,
        Storm::Deep => Some(whole_group(&sender, &alerts).await),
    };
    db.close().await;
    let memory = program::peak(process.id());
    // What runs is of no use to anybody any more.
    drop(process);
    Outcome { sent, quiet, meanwhile, threads, whole_group, start, memory }
}

/// A good release, and since a quarter of an hour a bad one.
async fn seed(sender: &Sender, services: impl Iterator<Item = &String>) {
    let minutes = |ago: i64| clock::System.now() - ago * 60_000;
    let mut under_way = JoinSet::new();
    for service in services {
        let records =
            [(GOOD, "blue", minutes(120)), (BAD, "green", minutes(15))].map(|(version, pool, at)| {
                let digest = artifact(version).digest;
                json!({ "service": service, "version": version, "digest": digest, "pool": pool, "at": at })
            });
        let sender = sender.clone();
        under_way.spawn(async move {
            for record in records {
                let end = tokio::time::Instant::now() + PATIENCE;
                let status = sender.post("/v1/deployments", record.to_string(), end).await;
                assert_eq!(status, Some(201), "{record}");
            }
        });
        if under_way.len() >= 16 {
            under_way.join_next().await.unwrap().unwrap();
        }
    }
    under_way.join_all().await;
}

fn alerts(storm: Storm, services: &[String], lasts: Duration) -> Vec<Value> {
    let count = match storm {
        Storm::Wide => usize::try_from(u64::from(RATE) * lasts.as_secs() / 60).unwrap(),
        Storm::Deep => OF_ONE,
    };
    let alert = |number: usize| {
        let (service, round) = (&services[number % services.len()], number / services.len());
        send::alert(service, &format!("High5xx-{round}"))
    };
    (0..count).map(alert).collect()
}

/// What an Alertmanager sends that groups by service: everything that fires, in every notification.
async fn whole_group(sender: &Sender, alerts: &[Value]) -> (Sent, usize) {
    let body = send::group(alerts);
    let (size, now) = (body.len(), tokio::time::Instant::now());
    (sender.alerts(body, alerts.len(), now, now + PATIENCE * 2).await, size)
}

/// Lets services alert one after the other, evenly over the time; from sending to the proposal in the database. Also how many had
/// none, which count as if it had come at the end of all patience.
async fn others_alert(
    sender: &Sender,
    db: &AnyPool,
    services: &[String],
    lasts: Duration,
) -> (Sample, usize) {
    let (start, step) = (tokio::time::Instant::now(), lasts / u32::try_from(services.len()).unwrap());
    let mut under_way = JoinSet::new();
    for (number, service) in (0_u32..).zip(services) {
        tokio::time::sleep_until(start + step * number).await;
        let (sender, db, service) = (sender.clone(), db.clone(), service.clone());
        under_way.spawn(async move {
            let (begin, now) = (Instant::now(), tokio::time::Instant::now());
            let body = send::group(&[send::alert(&service, "High5xx")]);
            sender.alerts(body, 1, now, now + PATIENCE).await;
            while begin.elapsed() < PATIENCE && phase(&db, &service).await.as_deref() != Some("proposed") {
                tokio::time::sleep(LOOK).await;
            }
            begin.elapsed().min(PATIENCE)
        });
    }
    let times = under_way.join_all().await;
    let late = times.iter().filter(|time| **time >= PATIENCE).count();
    (Sample::times(times), late)
}

async fn connect(url: &str) -> AnyPool {
    sqlx::any::install_default_drivers();
    sqlx::any::AnyPoolOptions::new().max_connections(2).connect(url).await.unwrap()
}

async fn phase(db: &AnyPool, service: &str) -> Option<String> {
    let sql = "SELECT phase FROM rollbacks WHERE service = $1";
    sqlx::query_scalar(sql).bind(service).fetch_optional(db).await.unwrap()
}

async fn count(db: &AnyPool) -> Threads {
    let sql = "SELECT service, COUNT(*) FROM threads WHERE service LIKE 'checkout-%' GROUP BY service";
    let threads: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(db).await.unwrap();
    let threads: BTreeMap<_, _> = threads.into_iter().collect();
    let sql = "SELECT COUNT(*) FROM alerts WHERE service LIKE 'checkout-%'";
    let alerts = sqlx::query_scalar(sql).fetch_one(db).await.unwrap();
    Threads {
        services: i64::try_from(threads.len()).unwrap(),
        most_of_one: threads.values().copied().max().unwrap_or_default(),
        alerts,
    }
}
