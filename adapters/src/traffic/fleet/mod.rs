//! What adapters share whose routers are read and told one by one: many readings become one picture, a move is judged and
//! then written to whoever is not there yet, and only what is read back counts. A vendor brings how one router is read and
//! written; see `docs/adapters.md`.

mod judge;
mod reading;

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use lastgood_core::{Shares, inventory::live::near};
use tokio::time::{Instant, timeout_at};

pub use self::{
    judge::by_pool,
    reading::{Caution, Pool, Reading},
};
use super::{Foreseen, Move, Observation, Preflight, Progress, Said, Shifter, Truce, Unreachable, shares};
use crate::{Check, Fault};

/// Set before the first byte of a change leaves: from then on a missing answer is an unknown outcome.
#[derive(Debug, Default)]
pub struct Wrote(AtomicBool);

impl Wrote {
    pub fn begins(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One kind of router. Calls are bounded by the fleet.
#[async_trait]
pub trait Vendor: Send + Sync + 'static {
    /// For people: `envoy`.
    const NAME: &'static str;

    /// Names of the routers, as configured.
    fn instances(&self) -> &[String];

    fn pools(&self) -> Vec<&str>;

    /// # Errors
    /// `Unavailable` when it could not be asked, otherwise as it says.
    async fn read(&self, instance: &str) -> Result<Reading, Fault>;

    /// What only this kind of router can say against a move, really asked of it and without changing anything: warnings, or
    /// a reason to refuse as an error.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`: it would be refused.
    async fn dry_run(&self, instance: &str, now: &Reading, wanted: &Shares) -> Result<Vec<String>, Fault>;

    /// Makes these routers route as wanted; each comes with what was read of it.
    ///
    /// # Errors
    /// As `Shifter::apply`.
    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault>;

    /// As `Shifter::truce`.
    fn truce(&self) -> Option<&dyn Truce> {
        None
    }

    /// What whoever approves a move has to know of it.
    ///
    /// # Errors
    /// As `read`.
    async fn notes(&self) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    /// More lines for `lastgood check`.
    async fn also(&self) -> Vec<Check> {
        Vec::new()
    }

    /// What helps against a fault, for `lastgood check`.
    fn remedy(&self, fault: &Fault) -> &'static str;
}

/// All routers of one kind that route one service.
pub struct Fleet<V> {
    vendor: V,
    timeout: Duration,
}

/// What came of asking one router.
struct Asked<'a> {
    instance: &'a str,
    answer: Result<Reading, Fault>,
}

impl Asked<'_> {
    /// Why it could not be asked; one that answered nonsense is not unreachable.
    fn unreachable(&self) -> Option<Unreachable> {
        match &self.answer {
            Err(Fault::NotFound(_) | Fault::Invalid(_)) | Ok(_) => None,
            Err(fault) => Some(Unreachable { instance: self.instance.to_owned(), detail: fault.to_string() }),
        }
    }
}

impl<V: Vendor> Fleet<V> {
    pub fn new(vendor: V, timeout: Duration) -> Self {
        Self { vendor, timeout }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        instance: &str,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let late = || Fault::Unavailable(format!("{instance}: no answer within {:?}", self.timeout));
        timeout_at(deadline, call).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks all routers but those in `without` at the same time.
    async fn ask(&self, without: &[String], deadline: Instant) -> Vec<Asked<'_>> {
        let taking_part: Vec<&str> = self
            .vendor
            .instances()
            .iter()
            .filter(|instance| !without.contains(instance))
            .map(String::as_str)
            .collect();
        let each =
            taking_part.iter().map(|instance| self.within(deadline, instance, self.vendor.read(instance)));
        let answers = join_all(each).await;
        taking_part.into_iter().zip(answers).map(|(instance, answer)| Asked { instance, answer }).collect()
    }

    fn senseless(&self, wanted: &Move) -> Option<String> {
        shares::senseless(&self.vendor.pools(), &wanted.shares)
    }

    /// What speaks against a move, and what has to be known of it, by all routers that answered.
    async fn findings(
        &self,
        asked: &[Asked<'_>],
        wanted: &Shares,
        deadline: Instant,
    ) -> Result<judge::Findings, Fault> {
        let several = asked.len() > 1;
        let mut all = judge::Findings::default();
        for one in asked {
            let named = |text: String| if several { format!("{}: {text}", one.instance) } else { text };
            let reading = match &one.answer {
                Ok(reading) => reading,
                Err(fault) => {
                    all.reasons.push(named(fault.to_string()));
                    continue;
                }
            };
            let mut found = judge::findings(reading, wanted);
            let dry = self.vendor.dry_run(one.instance, reading, wanted);
            match self.within(deadline, one.instance, dry).await {
                Ok(warnings) => found.warnings.extend(warnings),
                Err(
                    fault @ (Fault::Denied(_) | Fault::Invalid(_) | Fault::NotFound(_) | Fault::Conflict(_)),
                ) => {
                    found.reasons.push(fault.to_string());
                }
                Err(fault) => return Err(fault),
            }
            all.reasons.extend(found.reasons.into_iter().map(named));
            all.warnings.extend(found.warnings.into_iter().map(named));
        }
        Ok(all)
    }
}

fn there(reading: &Reading, wanted: &Shares) -> bool {
    near(&reading.shares, wanted) && reading.coming.is_none() && reading.torn.is_none()
}

fn nobody(wanted: &Move) -> Fault {
    Fault::Invalid(format!("no instance is left without {}", wanted.without.join(", ")))
}

#[async_trait]
impl<V: Vendor> Shifter for Fleet<V> {
    async fn observe(&self) -> Result<Observation, Fault> {
        judge::picture(&self.ask(&[], self.deadline()).await)
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        if let Some(reason) = self.senseless(wanted) {
            return Ok(Preflight::Refused { reasons: vec![reason] });
        }
        let deadline = self.deadline();
        let asked = self.ask(&wanted.without, deadline).await;
        if asked.is_empty() {
            return Ok(Preflight::Refused { reasons: vec!["every instance is to be left out".to_owned()] });
        }
        let instances: Vec<_> = asked.iter().filter_map(Asked::unreachable).collect();
        if instances.len() == asked.len() {
            // Leaving out all of them is no choice to offer.
            return Err(judge::picture(&asked).err().unwrap_or_else(|| nobody(wanted)));
        }
        if !instances.is_empty() {
            return Ok(Preflight::Unreachable { instances });
        }
        if asked.iter().all(|one| one.answer.as_ref().is_ok_and(|now| there(now, &wanted.shares))) {
            return Ok(Preflight::AlreadyThere);
        }
        let found = self.findings(&asked, &wanted.shares, deadline).await?;
        Ok(match found.reasons.is_empty() {
            true => Preflight::Ready { warnings: found.warnings },
            false => Preflight::Refused { reasons: found.reasons },
        })
    }

    async fn apply(&self, wanted: &Move, _: &Said) -> Result<(), Fault> {
        if let Some(reason) = self.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        let deadline = self.deadline();
        let asked = self.ask(&wanted.without, deadline).await;
        if asked.is_empty() {
            return Err(nobody(wanted));
        }
        // Nothing is written before every router that takes part answered.
        let mut to_move = Vec::new();
        for one in &asked {
            let reading = one.answer.as_ref().map_err(Clone::clone)?;
            if !there(reading, &wanted.shares) {
                to_move.push((one.instance, reading));
            }
        }
        for (instance, reading) in &to_move {
            if let Some(fault) = judge::forbids(instance, reading, wanted) {
                return Err(fault);
            }
        }
        if to_move.is_empty() {
            return Ok(());
        }
        let wrote = Wrote::default();
        let outcome = timeout_at(deadline, self.vendor.write(&to_move, &wanted.shares, &wrote)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Fault::Unavailable(format!("{}: no answer within {:?}", V::NAME, self.timeout)))
        });
        match outcome {
            Err(Fault::Unavailable(text)) if wrote.has_begun() => Err(Fault::Unknown(text)),
            other => other,
        }
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        if let Some(reason) = self.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        let asked = self.ask(&[], self.deadline()).await;
        let seen = judge::picture(&asked)?;
        Ok(judge::progress(&asked, wanted, seen))
    }

    fn truce(&self) -> Option<&dyn Truce> {
        self.vendor.truce()
    }

    async fn foresee(&self, _: &Move) -> Result<Foreseen, Fault> {
        let notes = self.within(self.deadline(), V::NAME, self.vendor.notes()).await?;
        Ok(Foreseen { caveats: Vec::new(), notes })
    }

    async fn check(&self) -> Vec<Check> {
        let asked = self.ask(&[], self.deadline()).await;
        let mut lines: Vec<Check> = asked.iter().flat_map(|one| judge::lines(&self.vendor, one)).collect();
        lines.extend(self.vendor.also().await);
        lines
    }
}
