//! What the surroundings cost without lastgood: HAProxy's answer to the same command, and this disk's to a transaction.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use lastgood_tests::real::haproxy::HaProxy;
use sqlx::{AnyConnection, Connection, Executor};

use super::table::Sample;

const TIMES: usize = 200;

/// Connect, set the map, read it back: as a person would with socat.
pub fn by_hand(haproxy: &HaProxy) -> Sample {
    let map = haproxy.map();
    haproxy.told(&format!("add map {map} by-hand be_green"));
    Sample::times((0..TIMES).map(|number| {
        let to = if number % 2 == 0 { "be_blue" } else { "be_green" };
        let start = Instant::now();
        let mut stream = UnixStream::connect(haproxy.folder.join("admin.sock")).unwrap();
        writeln!(stream, "set map {map} by-hand {to};show map {map}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(&format!("by-hand {to}")), "{answer}");
        start.elapsed()
    }))
}

pub struct Transactions {
    pub empty: Sample,
    pub one_row: Sample,
}

/// On a file of the same kind in the same folder, with the store's own settings.
pub async fn transactions(folder: &Path) -> Transactions {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}?mode=rwc", folder.join("floor.db").display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").await.unwrap();
    connection
        .execute("CREATE TABLE row (id BIGINT NOT NULL PRIMARY KEY, body TEXT NOT NULL)")
        .await
        .unwrap();
    connection.execute("INSERT INTO row VALUES (1, '')").await.unwrap();
    let (mut empty, mut one_row) = (Vec::new(), Vec::new());
    for number in 0..TIMES {
        empty.push(transaction(&mut connection, None).await);
        one_row.push(transaction(&mut connection, Some(number)).await);
    }
    Transactions { empty: Sample::times(empty), one_row: Sample::times(one_row) }
}

async fn transaction(connection: &mut AnyConnection, number: Option<usize>) -> Duration {
    let start = Instant::now();
    connection.execute("BEGIN IMMEDIATE").await.unwrap();
    if let Some(number) = number {
        let update = sqlx::query("UPDATE row SET body = $1 WHERE id = 1").bind(number.to_string());
        update.execute(&mut *connection).await.unwrap();
    }
    connection.execute("COMMIT").await.unwrap();
    start.elapsed()
}
