//! Storms: the shipped program, as a process of its own, while Alertmanagers send far more than on a usual bad night. Asked is
//! what senders wait, whether anything gets lost, and what it costs services that have nothing to do with it.
//!
//! What is turned away with 503 is sent again after a second, as Alertmanager does, and its time counts from when it was to be sent first.
//! `LASTGOOD_BENCH_BESIDE` names another build of the program to measure beside this one.

mod run;
mod send;

use std::{path::PathBuf, time::Duration};

use lastgood_tests::database::Kind;

use super::{program, world::World};
use run::{Outcome, Place};

/// Alerts in a minute.
const RATE: u32 = 10_000;
/// How many services they are of.
const SERVICES: usize = 1_000;
/// Distinct alerts of one service.
const OF_ONE: usize = 6_000;
/// Alerts in a request about that one service.
const GROUPED: usize = 10;

/// One kind of storm.
#[derive(Clone, Copy)]
pub enum Storm {
    /// All services at once, one alert in a request.
    Wide,
    /// One service, a few alerts in a request.
    Deep,
}

impl Storm {
    /// Alerts in a request.
    fn grouped(self) -> usize {
        match self {
            Self::Wide => 1,
            Self::Deep => GROUPED,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Wide => format!("{RATE} alerts a minute over {SERVICES} services"),
            Self::Deep => format!("{OF_ONE} distinct alerts of one service, {GROUPED} in a request"),
        }
    }
}

/// Storms are as dense as they are said to be, and shorter, unless the whole minute is asked for.
fn lasts() -> Duration {
    let seconds = std::env::var("LASTGOOD_BENCH_STORM_SECONDS").ok();
    let seconds = seconds.map_or(20, |text| text.parse().expect("LASTGOOD_BENCH_STORM_SECONDS is a number"));
    assert!(seconds > 0, "LASTGOOD_BENCH_STORM_SECONDS is at least 1");
    Duration::from_secs(seconds)
}

/// Measures every storm on every database with every build; the tables that are printed.
pub async fn measure() -> String {
    let lasts = lasts();
    let mut builds = vec![("this build", program::binary())];
    builds.extend(std::env::var_os("LASTGOOD_BENCH_BESIDE").map(|path| ("beside", PathBuf::from(path))));
    for (_, build) in &builds {
        assert!(build.exists(), "{} is missing; tests/bench builds it", build.display());
    }
    let folder = tempfile::tempdir().unwrap();
    let (stormy, calm) = (folder.path().join("stormy"), folder.path().join("calm"));
    std::fs::create_dir(&stormy).unwrap();
    std::fs::create_dir(&calm).unwrap();
    // A router of their own: those who are not in the storm don't wait for it there.
    let (stormy, calm) = (World::start(&stormy).await, World::start(&calm).await);
    let mut text = String::new();
    for storm in [Storm::Wide, Storm::Deep] {
        for kind in databases() {
            let mut outcomes = Vec::new();
            for (name, build) in &builds {
                eprintln!("  {}, {kind:?}, {name}", storm.name());
                let place = Place { stormy: &stormy, calm: &calm, folder: folder.path(), kind, build };
                outcomes.push((*name, run::measure(&place, storm, lasts).await));
            }
            text += &table(storm, kind, lasts, &outcomes);
        }
    }
    text
}

fn databases() -> Vec<Kind> {
    if std::env::var_os("LASTGOOD_TEST_POSTGRES").is_some() {
        return vec![Kind::Sqlite, Kind::Postgres];
    }
    eprintln!("  PostgreSQL is not measured: LASTGOOD_TEST_POSTGRES is not set (tests/bench sets it)");
    vec![Kind::Sqlite]
}

fn table(storm: Storm, kind: Kind, lasts: Duration, outcomes: &[(&str, Outcome)]) -> String {
    let names: String = outcomes.iter().map(|(name, _)| format!(" {name} |")).collect();
    let rule = " --: |".repeat(outcomes.len());
    let of_a_minute = match storm {
        Storm::Wide => format!("for {} s", lasts.as_secs()),
        Storm::Deep => format!("within {} s", lasts.as_secs()),
    };
    let title = format!("\n{} ({kind:?}, {of_a_minute})\n\n", storm.name());
    let rows = Outcome::ROWS.iter().map(|row| {
        let cells: String = outcomes.iter().map(|(_, of)| format!(" {} |", (row.cell)(of))).collect();
        format!("| {} | {} |{cells}\n", row.figure, row.aim)
    });
    title + &format!("| figure | aim |{names}\n| --- | --: |{rule}\n") + &rows.collect::<String>()
}
