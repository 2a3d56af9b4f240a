//! `lastgood releases`: the inventory of one service.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args as Arguments;
use lastgood_core::{
    Digest,
    inventory::{Origin, Release, Stability},
};
use serde_json::json;

use super::{
    Context, Ended,
    output::{self, plain, say, table},
};
use crate::{clock::rfc3339, store};

#[derive(Debug, Arguments)]
pub struct Args {
    /// As the configuration names it.
    service: String,
    /// How many, newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

type Marks = BTreeMap<Digest, Stability>;

pub async fn run(context: &Context, args: Args) -> Ended {
    let app = context.open().await?;
    let service = app.engine.service(&args.service)?;
    let db = app.engine.store.reader();
    let mut releases = store::releases::newest(db, &service.id, args.limit + 1).await?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let more = releases.len() > limit;
    releases.truncate(limit);
    let marks = store::releases::marks(db, &service.id).await?;
    let marks: Marks = marks.into_iter().map(|mark| (mark.digest, mark.stability)).collect();
    if args.json {
        let rows: Vec<_> = releases.iter().map(|release| for_programs(release, &marks)).collect();
        output::json(&rows)?;
    } else if releases.is_empty() {
        say(format!("nothing was recorded for {}; `lastgood record` does", service.id))?;
    } else {
        let rows: Vec<_> = releases.iter().map(|release| row(release, &marks)).collect();
        let table = table(["VERSION", "DIGEST", "PHASE", "POOL", "DEPLOYED", "BY", "MARK", "NOTE"], &rows);
        let rest = if more { "\n(older ones are left out; --limit shows more)" } else { "" };
        say(table + rest)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(release: &Release, marks: &Marks) -> [String; 8] {
    let dash = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), plain);
    let note = match (&release.irreversible, release.origin) {
        (Some(why), _) => format!("irreversible: {}", plain(why)),
        (None, Origin::Rollback) => "by a rollback".to_owned(),
        (None, Origin::Recorded) => String::new(),
    };
    [
        plain(&release.artifact.version),
        release.artifact.digest.short().to_owned(),
        release.phase.as_str().to_owned(),
        dash(&release.pool),
        rfc3339(release.at),
        dash(&release.by),
        marks.get(&release.artifact.digest).map_or_else(|| "-".to_owned(), mark),
        note,
    ]
}

fn mark(stability: &Stability) -> String {
    match stability {
        Stability::Unproven => "-".to_owned(),
        Stability::Stable { .. } => "stable".to_owned(),
        Stability::Unstable { why, provisional } => {
            let word = if *provisional { "being rolled back" } else { "unstable" };
            format!("{word}: {}", plain(why))
        }
    }
}

fn for_programs(release: &Release, marks: &Marks) -> serde_json::Value {
    let digest = &release.artifact.digest;
    json!({
        "id": release.id.to_string(), "service": release.service, "version": release.artifact.version,
        "digest": digest, "phase": release.phase, "pool": release.pool, "at": release.at,
        "time": rfc3339(release.at), "by": release.by, "url": release.url,
        "irreversible": release.irreversible, "origin": release.origin,
        "mark": marks.get(digest).cloned().unwrap_or_default(),
    })
}
