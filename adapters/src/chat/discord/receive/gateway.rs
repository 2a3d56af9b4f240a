//! Staying connected to Discord's gateway: resumed where that is possible, begun anew where not, with growing waits in between.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use serenity::http::Route;

use super::session::{Ended, Report, Resumable, Session};
use crate::{
    Fault,
    chat::{Inbox, discord::Discord, json::text},
};

/// A person has to change something first, and each try counts.
const REFUSED: Duration = Duration::from_secs(600);
/// Connections in a row that came to nothing, after which a session is not gone on with any more.
const GIVEN_UP: u32 = 3;
/// Failures of any kind in a row, some two minutes of them, after which it is not gone on with either.
const UNREACHED: u32 = 9;
/// Sessions that are left for people who start the bot themselves.
const LEFT: u64 = 10;
/// A connection that lived this long was one.
const SHORT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Discord wants one to five seconds of quiet before another session begins (Gateway, Resuming).
const QUIET: Duration = Duration::from_secs(1);
const QUIETER: Duration = Duration::from_secs(4);

/// Until the process ends; not at all where everything comes by HTTP.
pub(in crate::chat::discord) async fn listen(discord: &Discord, inbox: Arc<dyn Inbox>) {
    let settings = &discord.0.settings;
    if settings.verifier.is_some() && !settings.reads_messages {
        return;
    }
    let (mut resumable, mut failures, mut stillborn) = (None::<Resumable>, 0_u32, 0_u32);
    loop {
        let began = Instant::now();
        let wait = match connect(discord, &inbox, resumable.clone()).await {
            Ok(session) => {
                let (Report { ended, lived }, goes_on) = session.run().await;
                resumable = goes_on;
                // Ended at once, time and again, is no service either.
                failures = if lived && began.elapsed() >= SHORT { 0 } else { failures.saturating_add(1) };
                stillborn = if lived { 0 } else { stillborn.saturating_add(1) };
                // Sessions that are begun are counted: a thousand a day.
                let counted = resumable.is_none() && stillborn > 0;
                after(&ended, failures).max(if counted { spaced(stillborn) } else { Duration::ZERO })
            }
            Err(fault) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%fault, failures, "no connection to Discord; commands and clicks wait");
                match fault {
                    Fault::RateLimited { after: Some(after), .. } => after,
                    Fault::Denied(_) => LONGEST_WAIT,
                    _ => backoff(failures),
                }
            }
        };
        // A session that can't be gone on with must not be tried for ever, though it connects; nor at an address that is gone.
        if stillborn > GIVEN_UP || failures > UNREACHED {
            resumable = None;
        }
        tokio::time::sleep(wait).await;
    }
}

fn after(ended: &Ended, failures: u32) -> Duration {
    match ended {
        Ended::Broken(why) => {
            tracing::warn!(why, "Discord's gateway broke off; connecting anew");
            backoff(failures)
        }
        Ended::Lost(why) => {
            tracing::warn!(why, "Discord's gateway begins anew");
            (QUIET + QUIETER.mul_f64(fraction())).max(backoff(failures))
        }
        Ended::Refused(why) => {
            tracing::error!(
                why,
                minutes = REFUSED.as_secs() / 60,
                "Discord refuses the connection; tried again then, or at the next start"
            );
            REFUSED
        }
    }
}

async fn connect(
    discord: &Discord,
    inbox: &Arc<dyn Inbox>,
    resumable: Option<Resumable>,
) -> Result<Session, Fault> {
    // The address that Discord gave for it; resuming elsewhere is refused more often.
    let url = match &resumable {
        Some(resumable) => resumable.url.clone(),
        None => gateway(discord).await?,
    };
    Session::open(discord, inbox, &url, resumable).await
}

async fn gateway(discord: &Discord) -> Result<String, Fault> {
    let answer = discord.0.api.get("asking for the gateway", Route::GatewayBot, &[]).await?;
    let number = |at: &str| answer.pointer(at).and_then(Value::as_u64);
    if number("/session_start_limit/remaining").is_some_and(|left| left < LEFT) {
        // More would cost the token.
        let after = Duration::from_millis(number("/session_start_limit/reset_after").unwrap_or(60_000));
        let detail = "Discord takes no more sessions of this bot today".to_owned();
        return Err(Fault::RateLimited { after: Some(after), detail });
    }
    match text(&answer, "/url") {
        "" => Err(Fault::Unavailable("asking for the gateway: no address".to_owned())),
        url => Ok(url.to_owned()),
    }
}

/// None at first, then half a second, doubled each time.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => (Duration::from_millis(250) * 2_u32.pow(failures.min(7))).min(LONGEST_WAIT),
    }
}

/// Between sessions that end before they begin: two seconds, doubled each time, up to five minutes.
fn spaced(stillborn: u32) -> Duration {
    Duration::from_secs(2_u64.pow(stillborn.min(9))).min(Duration::from_secs(300))
}

/// Some number from 0 to 1, so that many clients don't do a thing at once.
pub(super) fn fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = RandomState::new().hash_one(Instant::now()) >> 32;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(backoff(0), Duration::ZERO);
        assert_eq!(backoff(1), Duration::from_millis(500));
        assert_eq!(backoff(99), LONGEST_WAIT);
        assert_eq!(spaced(1), Duration::from_secs(2));
        assert_eq!(spaced(99), Duration::from_secs(300));
        assert!((0.0..=1.0).contains(&fraction()));
    }
}
