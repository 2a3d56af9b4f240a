//! The proxy loses what it was told to lose, and nothing else.

use std::{path::Path, time::Duration};

use lastgood_tests::{
    client::tls,
    lossy::{Lossy, Mode},
    shop::{Counts, Server},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

struct Setting {
    server: Server,
    proxy: Lossy,
    client: reqwest::Client,
}

async fn setting() -> Setting {
    tls();
    let server = Server::start("checkout", "blue", "blue1", "v1").await;
    let proxy = Lossy::tcp(server.at()).await;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(700)).build().unwrap();
    Setting { server, proxy, client }
}

impl Setting {
    async fn ask(&self) -> reqwest::Result<u16> {
        let response = self.client.get(format!("http://{}/", self.proxy.at())).send().await?;
        let status = response.status().as_u16();
        response.bytes().await.map(|_| status)
    }
}

#[tokio::test]
async fn a_lost_answer_belongs_to_a_request_that_took_effect() {
    let setting = setting().await;
    assert_eq!(setting.ask().await.unwrap(), 200);
    setting.proxy.lose_answers(2);
    for _ in 0..2 {
        let error = setting.ask().await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    }
    assert_eq!(setting.ask().await.unwrap(), 200);
    assert_eq!(setting.server.counts(), Counts { served: 4, failed: 0 });
    assert_eq!(setting.proxy.lost(), 2);
}

#[tokio::test]
async fn refused_means_that_nobody_listens_and_open_connections_are_cut() {
    let setting = setting().await;
    assert_eq!(setting.ask().await.unwrap(), 200);
    let mut open = tokio::net::TcpStream::connect(setting.proxy.at()).await.unwrap();
    setting.proxy.set(Mode::Refuse).await;
    assert!(setting.ask().await.unwrap_err().is_connect());
    assert!(matches!(open.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    setting.proxy.set(Mode::Pass).await;
    assert_eq!(setting.ask().await.unwrap(), 200);
}

#[tokio::test]
async fn a_black_hole_answers_neither_old_nor_new_connections_and_nothing_arrives_late() {
    let setting = setting().await;
    assert_eq!(setting.ask().await.unwrap(), 200); // its connection is kept
    setting.proxy.set(Mode::BlackHole).await;
    assert!(setting.ask().await.unwrap_err().is_timeout());
    assert!(setting.ask().await.unwrap_err().is_timeout());
    setting.proxy.set(Mode::Pass).await;
    assert_eq!(setting.ask().await.unwrap(), 200);
    assert_eq!(setting.server.counts().served, 2);
}

#[tokio::test]
async fn a_delay_is_added_to_the_answer() {
    let setting = setting().await;
    setting.proxy.set(Mode::Delay(Duration::from_millis(150))).await;
    let since = std::time::Instant::now();
    assert_eq!(setting.ask().await.unwrap(), 200);
    assert!(since.elapsed() >= Duration::from_millis(150));
    setting.proxy.set(Mode::Delay(Duration::from_secs(5))).await;
    assert!(setting.ask().await.unwrap_err().is_timeout());
    assert_eq!(setting.server.counts().served, 2);
}

#[tokio::test]
async fn a_unix_socket_is_served_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let (before, behind) = (folder.path().join("before.sock"), folder.path().join("behind.sock"));
    let listener = UnixListener::bind(&behind).unwrap();
    // Answers a line with the same line, one connection after the other.
    let echo = tokio::spawn(async move {
        for taken in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return taken };
            let mut line = [0; 16];
            let length = stream.read(&mut line).await.unwrap();
            stream.write_all(&line[..length]).await.ok();
        }
        0
    });
    let proxy = Lossy::unix(&before, &behind).await;
    assert_eq!(say(&before, "one").await.unwrap(), "one");
    proxy.lose_answers(1);
    assert_eq!(say(&before, "two").await.unwrap_or_default(), "");
    proxy.set(Mode::Refuse).await;
    assert!(say(&before, "three").await.is_err());
    proxy.set(Mode::Pass).await;
    assert_eq!(say(&before, "four").await.unwrap(), "four");
    echo.abort();
}

async fn say(socket: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
