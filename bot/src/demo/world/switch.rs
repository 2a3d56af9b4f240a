//! The weighted switch in front of the pools: an HTTP proxy whose one number says how much of the traffic goes where.
//! It moves gradually to what was wanted last, so that progress is something to see.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use lastgood_core::Shares;
use tokio::sync::watch;

use super::{BLUE, Counts, GREEN};

/// One step of a turn; with 5 points a step, all of the traffic moves in two seconds.
const STEP_EVERY: Duration = Duration::from_millis(100);
const STEP: u8 = 5;
/// How long a pool may take to say that it is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// A pool as the switch sees it.
pub struct Behind {
    pub name: &'static str,
    pub servers: Vec<SocketAddr>,
    turn: AtomicU64,
}

impl Behind {
    pub fn new(name: &'static str, servers: Vec<SocketAddr>) -> Self {
        Self { name, servers, turn: AtomicU64::new(0) }
    }

    /// Its servers in turn.
    fn next(&self) -> Option<SocketAddr> {
        let turn = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        self.servers.get(turn.checked_rem(self.servers.len())?).copied()
    }
}

pub struct Switch {
    client: reqwest::Client,
    pub pools: Vec<Behind>,
    counts: Arc<Counts>,
    /// Green's share in percent; blue has the rest, so no reader ever sees shares that don't add up.
    green: watch::Sender<u8>,
    wanted: watch::Sender<u8>,
    requests: AtomicU64,
}

impl Switch {
    pub fn new(client: reqwest::Client, pools: Vec<Behind>, counts: Arc<Counts>) -> Self {
        let (green, wanted) = (watch::Sender::new(100), watch::Sender::new(100));
        Self { client, pools, counts, green, wanted, requests: AtomicU64::new(0) }
    }

    /// Who gets which share now.
    pub fn shares(&self) -> Shares {
        shares(*self.green.borrow())
    }

    /// Where it is turning to; the same as `shares` when it is at rest.
    pub fn wanted(&self) -> Shares {
        shares(*self.wanted.borrow())
    }

    /// Begins to turn; a wish that is already there changes nothing.
    pub fn want(&self, green: u8) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(wanted, green) != green);
    }

    /// How many of a pool's servers answer their health endpoint.
    pub async fn alive(&self, pool: &Behind) -> u32 {
        let asked = pool.servers.iter().map(|server| async move {
            let asked =
                self.client.get(format!("http://{server}/healthz")).timeout(ALIVE_WITHIN).send().await;
            asked.is_ok_and(|answer| answer.status().is_success())
        });
        futures_util::future::join_all(asked).await.into_iter().map(u32::from).sum()
    }

    fn pick(&self) -> Option<SocketAddr> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        // 61 and 100 have no common divisor: any hundred requests in a row are shared out exactly, well mixed.
        let name = if request * 61 % 100 < u64::from(*self.green.borrow()) { GREEN } else { BLUE };
        self.pools.iter().find(|pool| pool.name == name)?.next()
    }
}

fn shares(green: u8) -> Shares {
    Shares::from([(BLUE.to_owned(), 100 - green.min(100)), (GREEN.to_owned(), green.min(100))])
}

pub fn app(switch: Arc<Switch>) -> Router {
    Router::new().fallback(pass).with_state(switch)
}

/// Hands one request on. Health probes pass like everything else but are not counted: the error rate is the customers'.
async fn pass(State(switch): State<Arc<Switch>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let at = switch.counts.now();
    let answer = forward(&switch, method, &uri, body).await;
    if uri.path() != "/healthz" {
        switch.counts.record(at, answer.status().is_server_error());
    }
    answer
}

async fn forward(switch: &Switch, method: Method, uri: &Uri, body: Bytes) -> Response {
    let Some(server) = switch.pick() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no server").into_response();
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let passed = async {
        let answer =
            switch.client.request(method, format!("http://{server}{path}")).body(body).send().await?;
        let status = answer.status();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        Ok::<_, reqwest::Error>((status, kind, answer.bytes().await?))
    };
    match passed.await {
        Ok((status, kind, body)) => {
            let served_by = (HeaderName::from_static("x-served-by"), server.to_string());
            let mut answer = (status, [served_by], Body::from(body)).into_response();
            if let Some(kind) = kind {
                answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            answer
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Turns the switch, step by step, to whatever is wanted, until the world ends.
pub async fn turn(switch: Arc<Switch>, mut stopped: watch::Receiver<bool>) {
    let mut wanted = switch.wanted.subscribe();
    let turning = async {
        let mut steps = tokio::time::interval(STEP_EVERY);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let (at, to) = (*switch.green.borrow(), *wanted.borrow_and_update());
            if at == to {
                if wanted.changed().await.is_err() {
                    return;
                }
                steps.reset();
                continue;
            }
            steps.tick().await;
            let next =
                if at < to { at.saturating_add(STEP).min(to) } else { at.saturating_sub(STEP).max(to) };
            switch.green.send_replace(next);
        }
    };
    tokio::select! {
        () = turning => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_hundred_requests_are_shared_out_exactly() {
        let counts = Arc::new(Counts::new(Arc::new(|| 0), 0));
        // A plain-HTTP client needs no TLS; building one still asks for a provider.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let pools = vec![Behind::new(BLUE, vec![address(1)]), Behind::new(GREEN, vec![address(2)])];
        let switch = Switch::new(reqwest::Client::new(), pools, counts);
        switch.green.send_replace(35);
        let green = (0..100).filter(|_| switch.pick() == Some(address(2))).count();
        assert_eq!(green, 35);
    }
}
