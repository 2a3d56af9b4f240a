//! The program as it is shipped: how long until it is ready, and what it holds when it has nothing to do.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use lastgood_tests::process::{Process, free_port};

use super::{
    table::{Sample, Table},
    world::World,
};

const TIMES: usize = 20;
const IDLE: Duration = Duration::from_secs(2);
/// With a thousand services, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(120);

/// Set by `tests/bench`; otherwise beside this program's folder.
pub fn binary() -> PathBuf {
    std::env::var_os("LASTGOOD_BENCH_PROGRAM").map_or_else(
        || std::env::current_exe().unwrap().parent().unwrap().with_file_name("lastgood"),
        PathBuf::from,
    )
}

pub async fn measure(table: &mut Table) {
    let program = binary();
    assert!(program.exists(), "{} is missing; tests/bench builds it", program.display());
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let floor = floor(&program);
    let (mut first, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..TIMES {
        let own = folder.path().join(number.to_string());
        std::fs::create_dir(&own).unwrap();
        let port = free_port();
        std::fs::write(own.join("lastgood.toml"), world.config(&own, 3, port)).unwrap();
        let (process, took) = start(&program, &own, port);
        first.push(took);
        end(process).await;
        let (process, took) = start(&program, &own, port);
        again.push(took);
        if number < 3 {
            tokio::time::sleep(IDLE).await;
            memory.push(resident(process.id()));
        }
        end(process).await;
    }
    let floor = Some(("`lastgood --version`", floor.p50()));
    table.add("start to ready, ms", &Sample::times(again), Some(150.0), floor);
    table.add("first start to ready: the database is made, ms", &Sample::times(first), None, floor);
    table.add("resident memory after 2 s idle, MB", &Sample::of(memory), Some(30.0), None);
}

/// Starting the same program to do nothing.
fn floor(program: &Path) -> Sample {
    Sample::times((0..TIMES).map(|_| {
        let start = Instant::now();
        assert!(Command::new(program).arg("--version").output().unwrap().status.success());
        start.elapsed()
    }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process has no event to await, and this one measures nothing else"
)]
pub fn start(program: &Path, folder: &Path, port: u16) -> (Process, Duration) {
    let start = Instant::now();
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(folder.join("lastgood.toml")).current_dir(folder);
    let process = Process::start("lastgood", &mut command, folder);
    while !ready(port) {
        assert!(start.elapsed() < LIMIT, "not ready:\n{}", process.output());
        std::thread::sleep(Duration::from_micros(500));
    }
    (process, start.elapsed())
}

fn ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))) else { return false };
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok();
    answer.starts_with("HTTP/1.1 200")
}

pub async fn end(mut process: Process) {
    process.signal("TERM");
    assert!(process.wait(LIMIT).await.success(), "{}", process.output());
}

/// In megabytes.
fn resident(process: u32) -> f64 {
    memory(process, "VmRSS:")
}

/// The most that it had resident at any time, in megabytes.
pub fn peak(process: u32) -> f64 {
    memory(process, "VmHWM:")
}

fn memory(process: u32, of: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1024.0 / 1e6
}
