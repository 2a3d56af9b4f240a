//! A customer who asks at a constant rate and writes down every answer: the witness of what a shift of traffic cost.

use std::{
    error::Error,
    io::ErrorKind,
    sync::{Arc, Mutex, Once},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle, task::JoinSet};

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Nobody listens.
    Refused,
    /// The connection was cut before the answer was complete.
    Reset,
    /// No answer within the client's limit.
    Timeout,
    Other(String),
}

#[derive(Debug, Clone)]
pub struct Request {
    /// When it was sent and how long its end took.
    pub sent: Instant,
    pub took: Duration,
    /// On a connection of its own, rather than a kept one.
    pub fresh: bool,
    pub outcome: Result<Reply, Lost>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// The header `x-pool`; none when what routes traffic answered by itself.
    pub pool: Option<String>,
}

struct Record {
    requests: Mutex<Vec<Request>>,
    /// How many there are, for those who wait.
    count: watch::Sender<usize>,
}

pub struct Client {
    record: Arc<Record>,
    task: JoinHandle<()>,
    end: watch::Sender<bool>,
}

/// What a request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// reqwest is built without a TLS provider, and refuses to start without one even for plain HTTP.
pub fn tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().ok(); // the program under test may have been first
    });
}

impl Client {
    /// Sends this many requests a second, in turn on kept connections and on new ones, each on time however slow the
    /// others are.
    pub fn start(url: &str, per_second: u32) -> Self {
        tls();
        let builder = || {
            reqwest::Client::builder().timeout(LIMIT).no_proxy().redirect(reqwest::redirect::Policy::none())
        };
        let kept = builder().build().unwrap();
        let fresh = builder().pool_max_idle_per_host(0).build().unwrap();
        let record = Arc::new(Record { requests: Mutex::default(), count: watch::Sender::new(0) });
        let (end, mut ended) = watch::channel(false);
        let (url, writes) = (url.to_owned(), record.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
            let mut under_way = JoinSet::new();
            for number in 0_u64.. {
                tokio::select! {
                    _ = tick.tick() => {}
                    _ = ended.changed() => break,
                }
                let own = number % 2 == 1;
                let request = if own { &fresh } else { &kept }.get(&url);
                under_way.spawn(ask(request, own, writes.clone()));
                while under_way.try_join_next().is_some() {}
            }
            under_way.join_all().await;
        });
        Self { record, task, end }
    }

    /// Waits until that many more requests have ended; gives how many have in all.
    pub async fn more(&self, requests: usize) -> usize {
        let mut count = self.record.count.subscribe();
        let wanted = *count.borrow() + requests;
        let enough = tokio::time::timeout(Duration::from_secs(60), count.wait_for(|count| *count >= wanted));
        *enough.await.expect("the client goes on").unwrap()
    }

    /// What happened so far.
    pub fn summary(&self) -> Summary {
        Summary { requests: self.record.requests.lock().unwrap().clone() }
    }

    /// Sends nothing more, waits for what is under way.
    pub async fn stop(self) -> Summary {
        self.end.send(true).ok();
        self.task.await.unwrap();
        Summary { requests: self.record.requests.lock().unwrap().clone() }
    }
}

async fn ask(request: reqwest::RequestBuilder, fresh: bool, record: Arc<Record>) {
    let sent = Instant::now();
    let outcome = whole(request).await.map_err(|error| classify(&error));
    let request = Request { sent, took: sent.elapsed(), fresh, outcome };
    record.requests.lock().unwrap().push(request);
    record.count.send_modify(|count| *count += 1);
}

/// An answer counts when its body came to its end.
async fn whole(request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send().await?;
    let pool = response.headers().get("x-pool").map(|name| name.to_str().unwrap().to_owned());
    let reply = Reply { status: response.status().as_u16(), pool };
    response.bytes().await?;
    Ok(reply)
}

fn classify(error: &reqwest::Error) -> Lost {
    if error.is_timeout() {
        return Lost::Timeout;
    }
    let mut cause = error.source();
    let mut said = error.to_string();
    while let Some(inner) = cause {
        said += &format!(": {inner}");
        match inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => return Lost::Refused,
            Some(
                ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionAborted,
            ) => return Lost::Reset,
            _ => cause = inner.source(),
        }
    }
    // hyper's own words for an end of file where an answer was due.
    match said.contains("connection closed before message completed")
        || said.contains("end of file before message length")
    {
        true => Lost::Reset,
        false => Lost::Other(said),
    }
}

#[derive(Debug, Clone)]
pub struct Summary {
    /// In the order in which they ended.
    pub requests: Vec<Request>,
}

impl Summary {
    /// Those that no pool is to blame for: transport errors, and bad answers that what routes traffic gave by itself.
    /// What a pool answered is its own, 5xx included. A shift that costs nothing leaves this empty.
    pub fn unexplained(&self) -> Vec<&Request> {
        let explained = |reply: &Reply| reply.pool.is_some() || (200..400).contains(&reply.status);
        self.requests.iter().filter(|request| !request.outcome.as_ref().is_ok_and(explained)).collect()
    }

    pub fn answered_by<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = &'a Request> {
        let from = move |reply: &Reply| reply.pool.as_deref() == Some(pool);
        self.requests.iter().filter(move |request| request.outcome.as_ref().is_ok_and(from))
    }

    /// When the pool's first answered request was sent.
    pub fn first(&self, pool: &str) -> Option<Instant> {
        self.answered_by(pool).map(|request| request.sent).min()
    }

    /// When the pool's last answered request was sent.
    pub fn last(&self, pool: &str) -> Option<Instant> {
        self.answered_by(pool).map(|request| request.sent).max()
    }

    /// The pool's own 5xx.
    pub fn failed_in(&self, pool: &str) -> usize {
        self.answered_by(pool)
            .filter(|request| request.outcome.as_ref().is_ok_and(|reply| reply.status >= 500))
            .count()
    }
}
