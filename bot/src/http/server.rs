//! The listening socket, from binding it to the last answer. Anybody may connect: what a connection can take, and how many
//! there are, has a limit, so that those who only hold them open keep nobody else out.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{
    connection::{self, Times},
    tls::Tls,
};

/// What requests under way get when the process stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(250);
/// What one above the limit is told, where it can read it.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n\
    content-type: application/problem+json\r\ncontent-length: 144\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"too many connections are open; \
    try again, or raise http.connections\"}";

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

/// How connections are taken.
#[derive(Debug, Clone)]
pub struct Listening {
    /// How many may be open at a time.
    pub connections: usize,
    pub times: Times,
    /// None: plain HTTP.
    pub tls: Option<Tls>,
}

impl Listening {
    /// Plain HTTP with the usual times.
    pub fn plain(connections: usize) -> Self {
        Self { connections, times: Times::default(), tls: None }
    }
}

/// Answers until `stop` turns true; then takes no new connection, and lets requests under way end, for a while.
///
/// # Errors
/// When the socket can listen no more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    listening: Listening,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let Listening { connections, times, tls } = listening;
    let door = Door {
        slots: Arc::new(Semaphore::new(connections)),
        crowded: Arc::new(Notify::new()),
        connection: connection::Serving { router, times, tls },
    };
    let mut open = JoinSet::new();
    let stopping = stop.clone();
    let accepted = tokio::select! {
        accepted = door.accept(&listener, &mut open, &stopping) => accepted,
        // A sender that is gone says the same.
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    drop(listener);
    let ended = tokio::time::timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!("requests still under way at the end were cut off");
    }
    accepted
}

struct Door {
    slots: Arc<Semaphore>,
    /// Told when somebody was turned away: connections that nobody uses make room.
    crowded: Arc<Notify>,
    connection: connection::Serving,
}

impl Door {
    /// Takes connections for ever.
    async fn accept(
        &self,
        listener: &TcpListener,
        open: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut turned_away = Rarely::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(ended) = open.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                    continue;
                }
            };
            match accepted {
                Ok((stream, _)) => match self.slots.clone().try_acquire_owned() {
                    Ok(slot) => self.open(stream, slot, open, stop),
                    Err(_) => {
                        self.turn_away(&stream);
                        if turned_away.is_due() {
                            tracing::warn!(
                                "more connections than http.connections: some were answered with 503"
                            );
                        }
                    }
                },
                // Whoever it was is gone already.
                Err(error) if is_of_one(&error) => {}
                Err(error) if is_passing(&error) => {
                    self.crowded.notify_waiters();
                    if turned_away.is_due() {
                        tracing::error!(%error, "no connection can be taken now; it is tried again");
                    }
                    // Trying at once again would only keep a processor busy: the system tells nobody when there is room.
                    tokio::time::sleep(NO_ROOM).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn open(
        &self,
        stream: TcpStream,
        slot: OwnedSemaphorePermit,
        open: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) {
        let (serving, crowded, stop) = (self.connection.clone(), self.crowded.clone(), stop.clone());
        open.spawn(async move {
            serving.serve(stream, &crowded, stop).await;
            drop(slot);
        });
    }

    /// At once, and without anything that could wait for the other side.
    fn turn_away(&self, stream: &TcpStream) {
        self.crowded.notify_waiters();
        if self.connection.tls.is_none() {
            // Whoever does not get to read it finds the connection closed, and has to come back as well.
            stream.try_write(FULL).ok();
        }
    }
}

/// An error of the connection that would have been taken, and not of the socket.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The process or the machine has too many open files (EMFILE, ENFILE), or no memory for one more (ENOBUFS, ENOMEM); or the
/// network says through this socket what is wrong elsewhere, which `accept(2)` says to take like a connection that failed.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::NETDOWN,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
        Errno::PERM,
    ];
    passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Says a thing that happens a thousand times only now and then.
#[derive(Default)]
struct Rarely(Option<tokio::time::Instant>);

impl Rarely {
    const EVERY: Duration = Duration::from_secs(10);

    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= Self::EVERY);
        if due {
            self.0 = Some(tokio::time::Instant::now());
        }
        due
    }
}

/// How many connections fit into the files that the process may open, with some left for all else (database, adapters,
/// chats): never more than configured.
pub fn fitting(configured: usize) -> usize {
    const OTHERS: u64 = 128;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = limit.map_or(usize::MAX, |limit| {
        // A process that may open next to nothing still answers.
        usize::try_from(limit.saturating_sub(OTHERS).max(limit / 4).max(1)).unwrap_or(usize::MAX)
    });
    if room < configured {
        tracing::warn!(
            "http.connections = {configured}, but the process may open only {} files: {room} connections are taken; \
             raise the limit (LimitNOFILE in systemd, ulimit -n)",
            limit.unwrap_or_default()
        );
    }
    room.min(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_those_above_the_limit_is_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], 503);
    }

    #[test]
    fn a_shortage_is_waited_out_and_a_broken_socket_is_not() {
        for errno in [libc_number("EMFILE"), libc_number("ENFILE")] {
            assert!(is_passing(&io::Error::from_raw_os_error(errno)));
        }
        assert!(!is_passing(&io::Error::from_raw_os_error(libc_number("EBADF"))));
        assert!(is_of_one(&io::Error::from_raw_os_error(libc_number("ECONNABORTED"))));
    }

    /// As Linux has them.
    fn libc_number(name: &str) -> i32 {
        match name {
            "EBADF" => 9,
            "ENFILE" => 23,
            "EMFILE" => 24,
            "ECONNABORTED" => 103,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(fitting(1), 1);
        let most = fitting(usize::MAX);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(limit.is_none_or(|limit| (most as u64) < limit), "{most} of {limit:?}");
    }
}
