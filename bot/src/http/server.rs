//! The listening socket, from binding it to the last answer.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::watch};

/// What requests under way get when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// The configured address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("http.listen = \"{address}\": {error}; {advice}")]
pub struct NotBound {
    address: SocketAddr,
    error: io::Error,
    advice: &'static str,
}

/// Takes the address, so that a port in use is known before anything else begins.
///
/// # Errors
/// With what to do about it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, NotBound> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "is lastgood, or something else, running there already? End it, or choose another port"
            }
            io::ErrorKind::PermissionDenied => "choose a port from 1024 up, or allow the user to take it",
            io::ErrorKind::AddrNotAvailable => {
                "no interface of this machine has that address; 0.0.0.0 means all of them"
            }
            _ => "choose another address",
        };
        NotBound { address, error, advice }
    })
}

/// Answers until `stop` turns true; then takes no new connection, and lets requests under way end, for a while.
///
/// # Errors
/// As the listening socket says.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) -> io::Result<()> {
    let stopped = |mut stop: watch::Receiver<bool>| async move {
        // A sender that is gone says the same.
        stop.wait_for(|stop| *stop).await.ok();
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped(stop.clone()));
    tokio::select! {
        served = serving.into_future() => served,
        () = async { stopped(stop).await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("requests still under way at the end were cut off");
            Ok(())
        }
    }
}
