//! Databases are empty, apart from each other, and gone at the end.

use lastgood_tests::database::{Database, Kind, both, fresh, prepared};
use sqlx::{AnyConnection, Connection, Executor, Row, any::install_default_drivers};

async fn open(url: &str) -> AnyConnection {
    install_default_drivers();
    let create = if url.starts_with("sqlite:") { "?mode=rwc" } else { "" };
    AnyConnection::connect(&format!("{url}{create}")).await.unwrap()
}

async fn count(database: &Database) -> i64 {
    let mut connection = open(&database.url).await;
    connection.fetch_one("SELECT COUNT(*) FROM things").await.unwrap().get(0)
}

async fn prepare(url: String) {
    let mut connection = open(&url).await;
    connection.execute("CREATE TABLE things (id BIGINT NOT NULL)").await.unwrap();
    connection.execute("INSERT INTO things VALUES (1)").await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_fresh_database_has_nothing_in_it() {
    for kind in both() {
        let (one, other) = (fresh(kind).await, fresh(kind).await);
        prepare(one.url.clone()).await;
        prepare(other.url.clone()).await; // would fail on a table that is there
        assert_eq!((one.kind, count(&one).await, count(&other).await), (kind, 1, 1));
    }
}

#[tokio::test]
async fn a_prepared_database_is_a_copy_of_its_own() {
    for kind in both() {
        let name = format!("harness_{}", std::process::id());
        let (one, other) = tokio::join!(prepared(kind, &name, prepare), prepared(kind, &name, prepare));
        let mut connection = open(&one.url).await;
        connection.execute("INSERT INTO things VALUES (2)").await.unwrap();
        connection.close().await.unwrap();
        assert_eq!((count(&one).await, count(&other).await), (2, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_while_it_is_in_use() {
    for kind in both() {
        let database = fresh(kind).await;
        let url = database.url.clone();
        let connection = open(&url).await;
        drop(database);
        install_default_drivers();
        let again = AnyConnection::connect(&url).await;
        assert!(again.is_err(), "{kind:?}: {url} is still there");
        drop(connection);
    }
}

#[tokio::test]
async fn postgresql_is_never_skipped_silently() {
    assert!(both().contains(&Kind::Postgres));
    let set = std::env::var("LASTGOOD_TEST_POSTGRES");
    assert!(set.is_ok_and(|url| url.starts_with("postgres://")), "run the tests with tests/run");
}
