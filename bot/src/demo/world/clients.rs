//! Steady customers, about sixty requests a second, for as long as the world stands.

use std::time::Duration;

use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};

const EVERY: Duration = Duration::from_micros(16_667);
/// More than this under way means that the machine is too busy; customers then come less often instead of piling up.
const UNDER_WAY: usize = 32;
const PAGES: [&str; 4] = ["/", "/cart", "/pay", "/orders"];

pub async fn visit(client: reqwest::Client, url: String, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut pages = PAGES.iter().cycle();
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        while under_way.try_join_next().is_some() {}
        if let (true, Some(page)) = (under_way.len() < UNDER_WAY, pages.next()) {
            let request = client.get(format!("{url}{page}"));
            under_way.spawn(async move {
                // What came of it is counted at the switch; reading the body lets the connection be used again.
                if let Ok(answer) = request.send().await {
                    let _body = answer.bytes().await;
                }
            });
        }
    }
    under_way.shutdown().await;
}
