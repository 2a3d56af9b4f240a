//! Two real PostgreSQL servers, the second a standby that follows the first, asynchronously: what an operator runs who wants
//! to survive the loss of a machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::process::{free_port, poll_async};

const LIMIT: Duration = Duration::from_secs(30);

pub struct Pair {
    folder: TempDir,
    programs: PathBuf,
    primary: Option<u16>,
    standby: u16,
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(command: &mut Command) {
    let said = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{command:?}: {text}\n{}", String::from_utf8_lossy(&said.stdout));
}

/// The newest of Debian's own, as tests/run takes it.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("tests/run installs PostgreSQL");
    let found = versions.map(|version| version.unwrap().path().join("bin"));
    let newest = found.filter(|folder| folder.join("initdb").is_file()).max();
    newest.expect("tests/run installs PostgreSQL")
}

impl Pair {
    /// Both run, and the standby follows.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(folder.path()));
        }
        let pair = Self { folder, programs: programs(), primary: Some(free_port()), standby: free_port() };
        let (one, two) = (pair.data("primary"), pair.data("standby"));
        run(pair
            .program("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&one));
        pair.serve(&one, pair.primary.unwrap());
        let from = format!("postgres://postgres@127.0.0.1:{}", pair.primary.unwrap());
        run(pair
            .program("pg_basebackup")
            .args(["-R", "-X", "stream", "-c", "fast", "-d", &from, "-D"])
            .arg(&two));
        pair.serve(&two, pair.standby);
        pair.caught_up().await;
        pair
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path());
        command
    }

    fn serve(&self, data: &Path, port: u16) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -p {port} -k {} -c fsync=off -c full_page_writes=off -c wal_level=replica",
            self.folder.path().display()
        );
        let log = data.with_extension("log");
        run(self
            .program("pg_ctl")
            .args(["-s", "-w", "-t", "30", "start", "-o", &options, "-D"])
            .arg(data)
            .arg("-l")
            .arg(log));
    }

    pub fn primary(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.primary.expect("it is gone")).into()
    }

    pub fn standby(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.standby).into()
    }

    async fn ask<T>(&self, at: SocketAddr, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut connection =
            PgConnection::connect(&format!("postgres://postgres@{at}/postgres")).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// Until the standby has all that the primary has committed.
    pub async fn caught_up(&self) {
        let written: String = self.ask(self.primary(), "SELECT pg_current_wal_lsn()::text").await;
        let there = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        poll_async("the standby to follow", LIMIT, async || {
            let there: Option<bool> = self.ask(self.standby(), &there).await;
            there.filter(|there| *there)
        })
        .await;
    }

    /// From here on nothing that is committed reaches the standby.
    pub async fn cut(&self) {
        let mut connection =
            PgConnection::connect(&format!("postgres://postgres@{}/postgres", self.standby())).await.unwrap();
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
        connection.execute("SELECT pg_reload_conf()").await.unwrap();
        poll_async("the standby to be cut off", LIMIT, async || {
            let senders: i64 = self.ask(self.primary(), "SELECT COUNT(*) FROM pg_stat_replication").await;
            (senders == 0).then_some(())
        })
        .await;
    }

    /// The primary is gone for good, and the standby takes its place.
    pub async fn fail_over(&mut self) {
        run(self
            .program("pg_ctl")
            .args(["-s", "-w", "-m", "immediate", "stop", "-D"])
            .arg(self.data("primary")));
        self.primary = None;
        run(self.program("pg_ctl").args(["-s", "-w", "promote", "-D"]).arg(self.data("standby")));
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in ["primary", "standby"] {
            if self.data(name).join("postmaster.pid").exists() {
                let stop = ["-s", "-w", "-m", "immediate", "stop", "-D"];
                self.program("pg_ctl").args(stop).arg(self.data(name)).output().ok();
            }
        }
    }
}
