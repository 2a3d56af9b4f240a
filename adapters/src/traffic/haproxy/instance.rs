//! One HAProxy, which may be more than one process: on a TCP port a second process (a reload that has not ended, a
//! second start on the same configuration) shares the port, and a connection reaches either. So a TCP instance is asked
//! over several connections, and what is written to one process is written to every other one that shows up. On a Unix
//! socket the newest process takes the path over, so that one connection tells as much as many.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use lastgood_core::Shares;
use tokio::time::Instant;

use super::{
    config::{Address, Route},
    reading::Reading,
    socket::Session,
};
use crate::Fault;

/// Connections to a TCP instance: with two processes, all of them reach the same one once in 128 times.
const CONNECTIONS: usize = 8;
/// Connections after which a further process is no longer waited for.
const ENOUGH: usize = 64;

fn connections(address: &Address) -> usize {
    match address {
        Address::Unix(_) => 1,
        Address::Tcp(_) => CONNECTIONS,
    }
}

/// How the processes of one instance route, by process.
///
/// # Errors
/// As `Session::open` and `Reading::take`.
pub(super) async fn survey(
    address: &Address,
    route: &Route,
    deep: bool,
    deadline: Instant,
) -> Result<Vec<Reading>, Fault> {
    let ask = || async {
        let mut session = Session::open(address, deadline).await?;
        Reading::take(&mut session, route, deep).await
    };
    let mut processes = BTreeMap::new();
    for reading in join_all((0..connections(address)).map(|_| ask())).await {
        let reading = reading?;
        processes.insert(reading.process.clone(), reading);
    }
    Ok(processes.into_values().collect())
}

/// Makes every process of one instance route as wanted. Each is written to once: if it then routes otherwise, somebody
/// else wants that, or it did not hold, and reading back says so. `wrote` is set before the first change.
///
/// # Errors
/// As `Session::tell` and `survey`.
pub(super) async fn settle(
    address: &Address,
    route: &Route,
    wanted: &Shares,
    deadline: Instant,
    wrote: &AtomicBool,
) -> Result<(), Fault> {
    let mut written = BTreeSet::new();
    let mut right = 0;
    for _ in 0..ENOUGH {
        let mut session = Session::open(address, deadline).await?;
        let reading = Reading::take(&mut session, route, false).await?;
        if reading.is(route, wanted) {
            right += 1;
            if right == connections(address) {
                return Ok(());
            }
        } else if written.insert(reading.process.clone()) {
            right = 0;
            for command in reading.commands(route, wanted) {
                wrote.store(true, Ordering::Relaxed);
                session.tell(&command).await?;
            }
        } else {
            return Ok(());
        }
    }
    Ok(())
}
