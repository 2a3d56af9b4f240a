//! A proxy to put before any real program, that loses what networks lose: above all the answer to a request that took
//! effect.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens; connections that were open are cut.
    Refuse,
    /// Connections are accepted and bytes swallowed, of open connections too. Nothing ever comes back.
    BlackHole,
    /// Every piece of an answer comes this much later.
    Delay(Duration),
}

#[derive(Debug, Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Wire = Box<dyn Stream>;

struct Shared {
    behind: Mutex<Place>,
    mode: watch::Sender<Mode>,
    /// Answers still to be lost.
    losing: AtomicU32,
    /// The answer to a request with this in it is lost.
    marked: Mutex<Option<String>>,
    lost: watch::Sender<u32>,
}

/// Ends with the value; the program behind it goes on.
pub struct Lossy {
    before: Place,
    shared: Arc<Shared>,
    /// Which mode the listener is in: it follows the one that was asked for.
    reached: watch::Receiver<Mode>,
    task: JoinHandle<()>,
}

impl Lossy {
    /// Listens on a free loopback port.
    pub async fn tcp(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let before = Place::Tcp(listener.local_addr().unwrap());
        Self::start(before, Listener::Tcp(listener), Place::Tcp(behind))
    }

    /// Listens on a socket at `before`.
    pub async fn unix(before: &Path, behind: &Path) -> Self {
        let before = Place::Unix(before.to_owned());
        let listener = before.listen().await.unwrap();
        Self::start(before, listener, Place::Unix(behind.to_owned()))
    }

    fn start(before: Place, listener: Listener, behind: Place) -> Self {
        let shared = Arc::new(Shared {
            behind: Mutex::new(behind),
            mode: watch::Sender::new(Mode::Pass),
            losing: AtomicU32::new(0),
            marked: Mutex::default(),
            lost: watch::Sender::new(0),
        });
        let (reach, reached) = watch::channel(Mode::Pass);
        let task = tokio::spawn(accept(before.clone(), listener, shared.clone(), reach));
        Self { before, shared, reached, task }
    }

    /// Where it listens on TCP.
    pub fn at(&self) -> SocketAddr {
        match self.before {
            Place::Tcp(at) => at,
            Place::Unix(_) => panic!("this proxy listens on a unix socket"),
        }
    }

    /// Returns when it is so.
    pub async fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
        let mut reached = self.reached.clone();
        reached.wait_for(|now| *now == mode).await.expect("the proxy runs");
    }

    /// New connections lead there, as after a failover.
    pub fn lead_to(&self, behind: SocketAddr) {
        *self.shared.behind.lock().unwrap() = Place::Tcp(behind);
    }

    /// Of the next answers this many are lost: the request passes, the program behind has answered it, then the
    /// connection is cut.
    pub fn lose_answers(&self, count: u32) {
        self.shared.losing.store(count, Ordering::SeqCst);
    }

    /// The answer to the next request that has `words` in it is lost in the same way.
    pub fn lose_answer_to(&self, words: &str) {
        *self.shared.marked.lock().unwrap() = Some(words.to_owned());
    }

    /// How many answers were lost so far.
    pub fn lost(&self) -> u32 {
        *self.shared.lost.borrow()
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Place {
    async fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Tcp(at) => TcpListener::bind(at).await.map(Listener::Tcp),
            Self::Unix(path) => {
                std::fs::remove_file(path).ok(); // the one of before, whose listener is gone
                UnixListener::bind(path).map(Listener::Unix)
            }
        }
    }

    async fn connect(&self) -> io::Result<Wire> {
        Ok(match self {
            Self::Tcp(at) => Box::new(TcpStream::connect(at).await?),
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Wire> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn accept(before: Place, listener: Listener, shared: Arc<Shared>, reach: watch::Sender<Mode>) {
    let mut mode = shared.mode.subscribe();
    let mut listener = Some(listener);
    // Dropping the set ends every connection.
    let mut open = JoinSet::new();
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Refuse {
            listener = None;
            open.shutdown().await;
        } else if listener.is_none() {
            listener =
                Some(before.listen().await.unwrap_or_else(|error| panic!("{before:?} again: {error}")));
        }
        reach.send_replace(now);
        let Some(listening) = &listener else {
            mode.changed().await.ok();
            continue;
        };
        tokio::select! {
            _ = mode.changed() => {}
            client = listening.accept() => {
                if let Ok(client) = client {
                    open.spawn(connection(client, shared.clone()));
                }
            }
        }
    }
}

/// One connection, until either side ends it, or an answer of it is to be lost.
async fn connection(client: Wire, shared: Arc<Shared>) {
    if *shared.mode.borrow() == Mode::BlackHole {
        // Held open and never read, not even when the network heals: a request must not arrive after its sender gave up.
        std::future::pending::<()>().await;
    }
    let behind = shared.behind.lock().unwrap().clone();
    let Ok(server) = behind.connect().await else { return };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let doomed = AtomicBool::new(false);
    let requests = async {
        let look = |piece: &[u8]| {
            let mut marked = shared.marked.lock().unwrap();
            if marked.as_ref().is_some_and(|words| String::from_utf8_lossy(piece).contains(words.as_str())) {
                *marked = None;
                doomed.store(true, Ordering::SeqCst);
            }
            Fate::Pass
        };
        pump(from_client, to_server, shared.mode.subscribe(), look).await;
        // The client may have finished sending and still wait for its answer.
        std::future::pending::<()>().await;
    };
    let fate = |_: &[u8]| {
        if doomed.swap(false, Ordering::SeqCst) {
            shared.losing.fetch_add(1, Ordering::SeqCst);
        }
        shared.fate()
    };
    let answers = pump(from_server, to_client, shared.mode.subscribe(), fate);
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

enum Fate {
    Pass,
    Later(Duration),
    Lost,
}

impl Shared {
    /// What becomes of a piece of an answer.
    fn fate(&self) -> Fate {
        let one_less = |left: u32| left.checked_sub(1);
        if self.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            self.lost.send_modify(|count| *count += 1);
            return Fate::Lost;
        }
        match *self.mode.borrow() {
            Mode::Delay(delay) => Fate::Later(delay),
            _ => Fate::Pass,
        }
    }
}

/// Copies one direction until it ends, and passes the end on.
async fn pump(
    mut from: ReadHalf<Wire>,
    mut to: WriteHalf<Wire>,
    mode: watch::Receiver<Mode>,
    fate: impl Fn(&[u8]) -> Fate,
) {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let Ok(length) = from.read(&mut piece).await else { return };
        if *mode.borrow() == Mode::BlackHole {
            // Swallowed, the end of it as well. What comes later is of no use to who misses this.
            std::future::pending::<()>().await;
        }
        if length == 0 {
            to.shutdown().await.ok();
            return;
        }
        match fate(&piece[..length]) {
            Fate::Pass => {}
            Fate::Later(delay) => tokio::time::sleep(delay).await,
            Fate::Lost => return,
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
