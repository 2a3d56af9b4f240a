//! The port that anybody may reach, and the files that nobody else may: the real program, started as people start it.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use lastgood_tests::{
    binary,
    process::{Process, free_port, poll, poll_async},
};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Long enough for any machine: what takes it has failed.
const LONG: Duration = Duration::from_secs(30);
const TOML: &str = r#"
[http]
listen = "ADDRESS"
HTTP
[services.checkout]
environment = "production"
room = "terminal:"
approvers = ["os:ana"]
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;

struct Place {
    folder: TempDir,
    address: SocketAddr,
}

impl Place {
    /// With these keys under `[http]`.
    fn new(http: &str) -> Self {
        let place =
            Self { folder: tempfile::tempdir().unwrap(), address: ([127, 0, 0, 1], free_port()).into() };
        let text = TOML.replace("ADDRESS", &place.address.to_string()).replace("HTTP", http);
        std::fs::write(place.path().join("lastgood.toml"), text).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Under the umask that most systems give to everybody.
    async fn serve(&self) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 022; exec \"$0\" serve"]).arg(binary::lastgood());
        command.current_dir(self.path()).env_remove("LASTGOOD_CONFIG").env_remove("RUST_LOG");
        let mut server = Process::start("lastgood", &mut command, self.path());
        server.listening(self.address).await;
        poll("lastgood to be ready", LONG, || server.output().contains("lastgood is ready").then_some(()))
            .await;
        server
    }

    /// The mode of each of the database's files.
    fn modes(&self) -> Vec<(String, u32)> {
        let files = std::fs::read_dir(self.path()).unwrap().map(Result::unwrap);
        let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("lastgood.db"));
        let mut modes: Vec<_> = files
            .map(|file| {
                let mode = file.metadata().unwrap().permissions().mode() & 0o777;
                (file.file_name().into_string().unwrap(), mode)
            })
            .collect();
        modes.sort();
        modes
    }

    /// All of them, with this mode, once the server has taken its locks.
    async fn has_files(&self, mode: u32) {
        let all = FILES.map(|file| (file.to_owned(), mode)).to_vec();
        poll("all files of the database", Duration::from_secs(10), || {
            let modes = self.modes();
            (modes.len() >= all.len()).then_some(modes)
        })
        .await;
        assert_eq!(self.modes(), all);
    }

    fn chmod(&self, file: &str, mode: u32) {
        std::fs::set_permissions(self.path().join(file), std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

const FILES: [&str; 7] = [
    "lastgood.db",
    "lastgood.db-shm",
    "lastgood.db-wal",
    "lastgood.db.delivery.lock",
    "lastgood.db.executor.checkout.lock",
    "lastgood.db.executor.lock",
    "lastgood.db.migrate.lock",
];

#[tokio::test]
async fn the_databases_files_are_their_owners_alone() {
    let place = Place::new("");
    let mut server = place.serve().await;
    place.has_files(0o600).await;
    server.kill();
    // As earlier versions left them; killed, so that the journals are there, too.
    for file in FILES {
        place.chmod(file, 0o644);
    }
    let mut server = place.serve().await;
    place.has_files(0o600).await;
    assert!(
        server.output().contains("lastgood.db was open to others (mode 644); it is 600 now"),
        "{}",
        server.output()
    );
    server.kill();
    // Shared on purpose, with those who break glass: the files that come new are shared as well.
    for file in FILES {
        place.chmod(file, 0o660);
    }
    for file in &FILES[1..] {
        std::fs::remove_file(place.path().join(file)).unwrap();
    }
    let server = place.serve().await;
    place.has_files(0o660).await;
    assert!(!server.output().contains("open to others"), "{}", server.output());
}

#[test]
fn check_looks_at_the_folder_of_the_database() {
    let place = Place::new("");
    let check = || binary::run(place.path(), &["check"]).out;
    let folder = place.path().canonicalize().unwrap();
    let folder = folder.display();
    place.chmod("", 0o700);
    let out = check();
    assert!(out.contains(&format!("✓ store folder: {folder} is closed to others")), "{out}");
    place.chmod("", 0o755);
    let out = check();
    assert!(out.contains("! store folder: others can look into"), "{out}");
    assert!(out.contains(&format!("chmod o-rwx {folder}")), "{out}");
    place.chmod("", 0o777);
    let out = check();
    assert!(out.contains("! store folder: others can write into"), "{out}");
}

async fn status(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("it is answered or ended");
    // A reset after the answer does not unsay it.
    read.ok();
    String::from_utf8(answer).ok()?.get(9..12).map(str::to_owned)
}

#[tokio::test]
async fn half_open_connections_leave_the_server_answering() {
    let place = Place::new("connections = 16");
    let server = place.serve().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(place.address).await.unwrap());
    }
    let full = || async { (status(place.address).await.as_deref() == Some("503")).then_some(()) };
    poll_async("one above the limit to be turned away", LONG, full).await;
    let well = || async { (status(place.address).await.as_deref() == Some("200")).then_some(()) };
    poll_async("connections on which nothing comes to be ended", LONG, well).await;
    drop(silent);
    assert!(server.output().contains("more connections than http.connections"), "{}", server.output());
}

#[tokio::test]
async fn a_process_without_files_left_takes_connections_again_when_it_has_some() {
    let place = Place::new("");
    let server = place.serve().await;
    let id = server.id().to_string();
    let limit = |files: usize| {
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={files}:")]).status();
        assert!(set.expect("prlimit is of util-linux").success());
    };
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    limit(open + 4);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(place.address).await.unwrap());
    }
    let short = || server.output().contains("no connection can be taken now").then_some(());
    poll("the process to be out of files", LONG, short).await;
    limit(open + 100);
    assert_eq!(status(place.address).await.as_deref(), Some("200"));
    drop(silent);
}

#[tokio::test]
async fn https_needs_good_files_and_is_asked_for_its_health() {
    let place = Place::new("tls = { cert = \"cert.pem\", key = \"key.pem\" }");
    let refused = binary::run(place.path(), &["serve"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("http.tls.cert = \"cert.pem\": can't be read"), "{}", refused.err);
    let checked = binary::run(place.path(), &["check"]).out;
    assert!(checked.contains("✗ http.tls: http.tls.cert = \"cert.pem\": can't be read"), "{checked}");
    // Break glass needs no certificate.
    assert_eq!(binary::run(place.path(), &["status"]).code, Some(0));
    let key = KeyPair::generate().unwrap();
    let cert =
        CertificateParams::new(vec!["lastgood.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(place.path().join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(place.path().join("key.pem"), key.serialize_pem()).unwrap();
    let mut server = place.serve().await;
    assert!(server.output().contains(&format!("ready at https://{}", place.address)), "{}", server.output());
    let health = tokio::task::spawn_blocking({
        let folder = place.path().to_owned();
        move || binary::run(&folder, &["health"])
    });
    let health = health.await.unwrap();
    assert_eq!((health.code, health.out.trim()), (Some(0), "up"), "{}", health.err);
    assert_eq!(status(place.address).await, None, "plain HTTP is not answered");
    server.signal("TERM");
    assert!(server.wait(LONG).await.success(), "{}", server.output());
}
