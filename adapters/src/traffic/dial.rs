//! Whether servers are there, for routers that don't know: lastgood tries to connect. It runs beside the router, and so sees the
//! network as the router does.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::{net::TcpStream, time::timeout};

/// Until a server that takes no connection counts as dead.
const LIMIT: Duration = Duration::from_secs(1);

/// How many of these take a connection, and whether there are some that can't be tried: a socket in the file system has no
/// address, and its server is taken to be there.
pub(super) async fn dial(members: &[String]) -> (u32, bool) {
    let is_path = |address: &&String| address.starts_with("unix");
    let paths = members.iter().filter(is_path).count();
    let each = members.iter().filter(|address| !is_path(address)).map(|address| async move {
        let address = if address.contains(':') { address.clone() } else { format!("{address}:80") };
        matches!(timeout(LIMIT, TcpStream::connect(&address)).await, Ok(Ok(_)))
    });
    let alive = join_all(each).await.into_iter().filter(|alive| *alive).count();
    (u32::try_from(alive + paths).unwrap_or(u32::MAX), paths > 0)
}
