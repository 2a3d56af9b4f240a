use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Listening, Server};
use crate::{
    config::TlsFiles,
    http::{Tls, connection::Times},
};

const LONG: Duration = Duration::from_secs(20);

struct Made {
    der: CertificateDer<'static>,
    cert: String,
    key: String,
}

fn make() -> Made {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    Made { der: cert.der().clone(), cert: cert.pem(), key: key.serialize_pem() }
}

fn files(folder: &Path, made: &Made) -> TlsFiles {
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.cert, &made.cert).unwrap();
    std::fs::write(&files.key, &made.key).unwrap();
    files
}

struct Https {
    server: Server,
    made: Made,
    files: TlsFiles,
    folder: TempDir,
}

async fn https() -> Https {
    let (folder, made) = (tempfile::tempdir().unwrap(), make());
    let files = files(folder.path(), &made);
    let times = Times { head: Duration::from_millis(300), ..Times::default() };
    let listening = Listening { connections: 8, times, tls: Some(Tls::load(&files).unwrap()) };
    Https { server: Server::start_as(str::to_owned, listening).await, made, files, folder }
}

impl Https {
    /// What a caller gets that trusts this certificate only.
    async fn ask(&self, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(self.server.address).await?;
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap()?;
        Ok(answer)
    }

    /// Asks until a caller that trusts this certificate gets an answer.
    async fn until_answered(&self, trusted: &CertificateDer<'static>) {
        let answered = async {
            while self.ask(trusted).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG, answered).await.expect("the certificate is used");
    }
}

#[tokio::test]
async fn https_is_answered_and_plain_http_is_not() {
    let https = https().await;
    let answer = https.ask(&https.made.der).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(https.server.request("GET", "/readyz").send().await.is_err());
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_off() {
    let https = https().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(https.server.address).await.unwrap());
    }
    for stream in &mut silent {
        let mut byte = [0];
        let read = timeout(LONG, stream.read(&mut byte)).await.expect("the server ends it");
        assert_eq!(read.unwrap_or(0), 0);
    }
    https.until_answered(&https.made.der).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart_and_half_of_one_is_not() {
    let https = https().await;
    let renewed = make();
    std::fs::write(&https.files.cert, &renewed.cert).unwrap();
    // Looked at by the first handshake after a second: certificate and key don't fit together.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(https.ask(&https.made.der).await.is_ok());
    std::fs::write(&https.files.key, &renewed.key).unwrap();
    https.until_answered(&renewed.der).await;
    assert!(https.ask(&https.made.der).await.is_err(), "the old one is not used any more");
    std::fs::remove_file(&https.files.cert).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(https.ask(&renewed.der).await.is_ok());
}

#[tokio::test]
async fn files_that_are_no_good_are_named() {
    let https = https().await;
    let folder = https.folder.path();
    let refused = |cert: &str, key: &str, why: &str| {
        let error = Tls::load(&TlsFiles { cert: folder.join(cert), key: folder.join(key) }).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    };
    std::fs::write(folder.join("empty"), "").unwrap();
    std::fs::write(folder.join("other.pem"), make().key).unwrap();
    refused("nowhere", "key.pem", "http.tls.cert");
    refused("cert.pem", "nowhere", "http.tls.key");
    refused("empty", "key.pem", "no certificate is in it");
    refused("key.pem", "key.pem", "no certificate is in it");
    refused("cert.pem", "empty", "no private key is in it");
    refused("cert.pem", "cert.pem", "no private key is in it");
    refused("cert.pem", "other.pem", "is the key that of the first certificate?");
}
