//! One HAProxy, which may be more than one process: a second start on the same configuration shares its TCP ports, and
//! during a reload the old and the new worker share every socket, so that a connection reaches either. Hence an instance
//! is asked over several connections, and what is written to one process is written to every other one that shows up.
//! (A second start takes the *paths* of Unix sockets over: the first one can't be reached through them any more.)

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use lastgood_core::Shares;
use tokio::time::Instant;

use super::{
    config::{Address, Route},
    reading::{self, Reading},
    socket::Session,
};
use crate::Fault;

/// Connections by which an instance is asked. The kernel gives each to either process by a hash of its ports: with two, all of
/// them reach the same one once in 32,768 times (2^-15). A survey that misses one is not the last word: traffic is moved only
/// after two of them, and called settled after one more. One after the other: a Runtime API socket takes 10 sessions at once (configuration.txt, "stats maxconn"), and a replica that stands
/// still in the middle of asking must not hold most of them.
const CONNECTIONS: usize = 16;
/// Connections after which a further process is no longer waited for.
const ENOUGH: usize = 64;

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
    let mut processes = BTreeMap::new();
    for _ in 0..CONNECTIONS {
        let mut session = Session::asking(address, deadline, reading::questions(route)).await?;
        let reading = Reading::take(&mut session, route, deep).await?;
        processes.insert(reading.process.clone(), reading);
    }
    Ok(processes.into_values().collect())
}

/// Makes every process of one instance route as wanted. Each is written to once: if it then routes otherwise, somebody
/// else wants that, or it did not hold, and reading back says so. Every process in `known` is waited for, until it is met or
/// seems to be gone. `wrote` is set before the first change.
///
/// # Errors
/// As `Session::tell_all` and `survey`.
pub(super) async fn settle(
    address: &Address,
    route: &Route,
    wanted: &Shares,
    known: &BTreeSet<String>,
    deadline: Instant,
    wrote: &AtomicBool,
) -> Result<(), Fault> {
    let (mut written, mut met) = (BTreeSet::new(), BTreeSet::new());
    let mut right = 0;
    for _ in 0..ENOUGH {
        let mut session = Session::asking(address, deadline, reading::questions(route)).await?;
        let reading = Reading::take(&mut session, route, false).await?;
        met.insert(reading.process.clone());
        if reading.is(route, wanted) {
            right += 1;
            if right >= CONNECTIONS && known.is_subset(&met) {
                return Ok(());
            }
        } else if written.insert(reading.process.clone()) {
            right = 0;
            for batch in reading.commands(route, wanted) {
                wrote.store(wrote.load(Ordering::Relaxed) || !batch.is_empty(), Ordering::Relaxed);
                session.tell_all(&batch).await?;
            }
        } else {
            return Ok(());
        }
    }
    Ok(())
}
