//! HTTPS: the configured certificate and key, read again when they change, so that one that is renewed needs no restart.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::config::TlsFiles;

/// How often handshakes look whether the files have changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why HTTPS can't be served. Never says what the key holds.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{key} = {:?}: can't be read: {error}; give a file in PEM that lastgood's user may read", .file.display())]
    Unreadable { key: &'static str, file: PathBuf, error: io::Error },
    #[error("{key} = {:?}: no certificate is in it; give the chain in PEM, the server's own first", .file.display())]
    NoCertificate { key: &'static str, file: PathBuf },
    #[error("{key} = {:?}: no private key is in it; give one in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted", .file.display())]
    NoKey { key: &'static str, file: PathBuf },
    #[error("http.tls: certificate and key don't work: {0}; is the key that of the first certificate?")]
    Unfit(rustls::Error),
}

const CERT: &str = "http.tls.cert";
const KEY: &str = "http.tls.key";

/// What connections are accepted with. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<Mutex<Current>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

struct Current {
    acceptor: TlsAcceptor,
    /// What the files held when they were read last, good or not.
    seen: Pair,
    looked: Instant,
}

/// The two files.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// With the key of the configuration that is wrong, and what to do.
    pub fn load(files: &TlsFiles) -> Result<Self, Unusable> {
        let seen = Pair::read(files)?;
        let acceptor = acceptor(files, &seen)?;
        let current = Current { acceptor, seen, looked: Instant::now() };
        Ok(Self { files: Arc::new(files.clone()), current: Arc::new(Mutex::new(current)) })
    }

    /// The handshake.
    ///
    /// # Errors
    /// When the other side does not speak TLS as it is spoken here.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.look().await;
        let acceptor = self.lock().acceptor.clone();
        acceptor.accept(stream).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is new in the files. Half of a renewal (a certificate without its key) is not taken over; the one
    /// before serves on.
    async fn look(&self) {
        {
            let mut current = self.lock();
            if current.looked.elapsed() < LOOK {
                return;
            }
            current.looked = Instant::now();
        }
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || Pair::read(&files)).await;
        let read = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::error!(%error, "the certificate can't be read again; the one before is used");
                return;
            }
            // The process ends.
            Err(_) => return,
        };
        let mut current = self.lock();
        if current.seen == read {
            return;
        }
        match acceptor(&self.files, &read) {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                tracing::info!(file = %self.files.cert.display(), "another certificate is used from now on");
            }
            Err(error) => tracing::error!(%error, "the new certificate is not used; the one before is"),
        }
        current.seen = read;
    }
}

impl Pair {
    fn read(files: &TlsFiles) -> Result<Self, Unusable> {
        let read = |key, file: &Path| {
            let unreadable = |error| Unusable::Unreadable { key, file: file.to_owned(), error };
            std::fs::read(file).map_err(unreadable)
        };
        Ok(Self { cert: read(CERT, &files.cert)?, key: read(KEY, &files.key)? })
    }
}

fn acceptor(files: &TlsFiles, pair: &Pair) -> Result<TlsAcceptor, Unusable> {
    let none = || Unusable::NoCertificate { key: CERT, file: files.cert.clone() };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pair.cert).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(none)?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key)
        .map_err(|_| Unusable::NoKey { key: KEY, file: files.key.clone() })?;
    let provider = Arc::new(ring::default_provider());
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(Unusable::Unfit)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Unusable::Unfit)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
