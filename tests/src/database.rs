//! A database per test, on both engines that the product runs on.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// For tests that must hold on both: `for kind in both() { … }`.
pub fn both() -> [Kind; 2] {
    [Kind::Sqlite, Kind::Postgres]
}

/// Gone when it is dropped, whoever is still connected.
pub struct Database {
    pub kind: Kind,
    /// As `[store] url` takes it.
    pub url: String,
    keep: Keep,
}

enum Keep {
    /// SQLite: the folder with the file, its journal and its locks.
    Folder(#[expect(dead_code, reason = "held for its end, which deletes it")] TempDir),
    /// PostgreSQL: the database's name.
    Server(String),
}

/// An empty database.
pub async fn fresh(kind: Kind) -> Database {
    match kind {
        Kind::Sqlite => sqlite(),
        Kind::Postgres => copy_of("template1").await,
    }
}

/// A database that `prepare` has filled (migrations), given its URL. PostgreSQL does it once for every `name` and copies
/// the result, from then on and in other processes too: `name` must change with what `prepare` does. `prepare` must have
/// disconnected when it returns, for PostgreSQL copies no database that is in use.
pub async fn prepared<F: Future<Output = ()>>(
    kind: Kind,
    name: &str,
    prepare: impl FnOnce(String) -> F,
) -> Database {
    if kind == Kind::Sqlite {
        let database = sqlite();
        prepare(database.url.clone()).await;
        return database;
    }
    let server = server();
    let template = format!("template_{name}");
    let mut connection = connect(&server).await;
    // Tests run as processes of their own: one prepares, the others wait for it. The end of the connection unlocks.
    run(&mut connection, "SELECT pg_advisory_lock(4711)").await;
    let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(&template)
        .fetch_optional(&mut connection)
        .await
        .unwrap();
    if there.is_none() {
        // Under another name until it is complete: a `prepare` that fails leaves no half template behind.
        let unfinished = format!("unfinished_{name}");
        run(&mut connection, &format!("DROP DATABASE IF EXISTS \"{unfinished}\" WITH (FORCE)")).await;
        run(&mut connection, &format!("CREATE DATABASE \"{unfinished}\"")).await;
        prepare(address(&server, &unfinished)).await;
        run(&mut connection, &format!("ALTER DATABASE \"{unfinished}\" RENAME TO \"{template}\"")).await;
    }
    connection.close().await.unwrap();
    copy_of(&template).await
}

fn sqlite() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("lastgood.db").display());
    Database { kind: Kind::Sqlite, url, keep: Keep::Folder(folder) }
}

async fn copy_of(template: &str) -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = server();
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&server).await;
    // The machine may have had this process id before.
    run(&mut connection, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
    run(&mut connection, &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"")).await;
    connection.close().await.unwrap();
    Database { kind: Kind::Postgres, url: address(&server, &name), keep: Keep::Server(name) }
}

fn server() -> PgConnectOptions {
    match std::env::var("LASTGOOD_TEST_POSTGRES") {
        Ok(url) => PgConnectOptions::from_str(&url).expect("LASTGOOD_TEST_POSTGRES is a URL"),
        Err(_) => {
            panic!("LASTGOOD_TEST_POSTGRES is not set: run the tests with tests/run, which starts PostgreSQL")
        }
    }
}

fn address(server: &PgConnectOptions, database: &str) -> String {
    server.clone().database(database).to_url_lossy().to_string()
}

async fn connect(server: &PgConnectOptions) -> PgConnection {
    server.connect().await.unwrap_or_else(|error| panic!("LASTGOOD_TEST_POSTGRES does not answer: {error}"))
}

/// Only for statements made here: names of databases can't be bound.
async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

impl Drop for Database {
    fn drop(&mut self) {
        let Keep::Server(name) = &self.keep else { return };
        // Dropping can't be awaited, and a runtime can't be started inside another: hence the thread.
        let drops = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server().connect().await?;
                connection.execute(AssertSqlSafe(format!("DROP DATABASE \"{name}\" WITH (FORCE)"))).await
            })
        };
        let dropped = std::thread::scope(|scope| scope.spawn(drops).join());
        // A test that already fails keeps its own message.
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}
