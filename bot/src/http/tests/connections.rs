use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{CI, Listening, Server, send};
use crate::http::connection::Times;

const HEAD: Duration = Duration::from_millis(300);
/// Long enough for any machine: what takes it has failed.
const LONG: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

async fn few(connections: usize) -> Server {
    let times = Times { head: HEAD, ..Times::default() };
    Server::start_as(str::to_owned, Listening { connections, times, tls: None }).await
}

/// What comes until the other side ends it.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut all)).await.expect("the server ends it");
    // A reset is an end, too.
    read.ok();
    String::from_utf8(all).unwrap()
}

/// One answer on a connection that stays open.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let (mut all, mut some) = (Vec::new(), [0; 1024]);
    while !all.ends_with(b"}") {
        let read = timeout(LONG, stream.read(&mut some)).await.unwrap().unwrap();
        assert_ne!(read, 0, "ended after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&some[..read]);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn connections_on_which_nothing_comes_keep_nobody_out_for_long() {
    let server = few(8).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut above = TcpStream::connect(server.address).await.unwrap();
    let answer = rest(&mut above).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains("http.connections"), "{answer}");
    for stream in &mut silent {
        assert_eq!(rest(stream).await, "", "nothing was asked");
    }
    assert_eq!(send(server.request("GET", "/healthz")).await.status, 200);
}

#[tokio::test]
async fn headers_that_trickle_in_are_cut_off() {
    let server = few(8).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    // A second request of a connection has no more time than the first.
    ask(&mut slow).await;
    let (mut reading, mut writing) = slow.into_split();
    let trickling = async {
        writing.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.ok();
        loop {
            tokio::time::sleep(HEAD / 10).await;
            if writing.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut all = Vec::new();
    tokio::select! {
        ended = timeout(LONG, reading.read_to_end(&mut all)) => drop(ended.expect("the server ends it")),
        () = trickling => unreachable!(),
    }
    assert_eq!(all, b"");
}

#[tokio::test]
async fn connections_that_nobody_uses_make_room() {
    let server = few(8).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 "));
        idle.push(stream);
    }
    let mut above = TcpStream::connect(server.address).await.unwrap();
    assert!(rest(&mut above).await.starts_with("HTTP/1.1 503 "));
    for stream in &mut idle {
        assert_eq!(rest(stream).await, "");
    }
    assert_eq!(send(server.request("GET", "/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_request_is_not_cut_off_for_its_body() {
    let server = few(8).await;
    let body =
        json!({ "service": "checkout", "version": "v1", "digest": format!("sha256:{}", "a".repeat(64)) });
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/deployments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CI}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (first, second) = body.split_at(10);
    stream.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(HEAD * 2).await;
    stream.write_all(second.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn idle_connections_end_with_the_server_and_requests_under_way_are_answered() {
    let server = few(8).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    ask(&mut idle).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/deployments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CI}\r\ncontent-length: 1\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    // It is begun: an answer to a later connection says so.
    ask(&mut TcpStream::connect(server.address).await.unwrap()).await;
    server.stop.send_replace(true);
    assert_eq!(rest(&mut idle).await, "");
    busy.write_all(b"{").await.unwrap();
    let answer = rest(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
