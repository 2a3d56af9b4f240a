//! One service's section.

use std::{collections::BTreeMap, time::Duration};

use lastgood_adapters::duration::Span;
use lastgood_core::Strategy;
use serde::Deserialize;

use super::{
    adapters::{Metric, Registry, Shifter, probe},
    names::{Room, Who},
};
use crate::inbound::{
    chat::Pattern,
    matcher::{Labels, Matchers},
};

#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    pub environment: String,
    room: Option<Room>,
    #[serde(default)]
    rooms: Vec<Room>,
    /// All must match; without any, no alert is this service's.
    #[serde(default)]
    pub alerts: Vec<Matchers>,
    /// Messages of other programs in its rooms that are its alerts, beside those that are recognised.
    #[serde(default)]
    pub alert_messages: Vec<Pattern>,
    #[serde(default)]
    pub depends_on: Vec<String>,
    #[serde(default)]
    pub approvers: Vec<Who>,
    /// They approve while the platform can't be asked.
    #[serde(default)]
    pub fallback_approvers: Vec<Who>,
    pub commander: Option<Who>,
    /// How many approvers have to say yes.
    #[serde(default = "one")]
    pub approvals: u32,
    #[serde(default = "yes")]
    pub requester_may_approve: bool,
    #[serde(default)]
    pub approval: Approval,
    /// Pagers, in the order in which they are tried.
    #[serde(default)]
    pub page: Vec<String>,
    pub registry: Option<Registry>,
    must_pull: Option<bool>,
    pub traffic: Traffic,
    #[serde(default)]
    pub pools: BTreeMap<String, Pool>,
    #[serde(default)]
    pub health: Health,
    #[serde(default = "minutes::<10>")]
    pub min_bake: Span,
    #[serde(default = "minutes::<1440>")]
    pub suspect_within: Span,
    #[serde(default = "minutes::<30>")]
    pub expires_after: Span,
    #[serde(default = "minutes::<5>")]
    pub answer_within: Span,
    #[serde(default = "minutes::<5>")]
    pub ack_within: Span,
    /// Whoever acknowledged is asked again after this time without anything done.
    #[serde(default = "minutes::<30>")]
    pub act_within: Span,
    /// For how long a service that has recovered is watched before its rollback ends.
    #[serde(default = "minutes::<10>")]
    pub bake: Span,
    /// How long after that its alert may go on firing.
    #[serde(default = "minutes::<30>")]
    pub alert_clears_within: Span,
    /// How long an alert may go on firing after a run ended before it is looked at again.
    #[serde(default = "minutes::<30>")]
    pub again_after: Span,
    /// An alert that nobody repeats for as long is silent: it counts as over.
    #[serde(default = "minutes::<360>")]
    pub alert_expires: Span,
    shift_within: Option<Span>,
    /// In steps rather than at once.
    pub shift: Option<Shift>,
}

/// A shift in steps.
#[derive(Debug, Clone, Deserialize)]
pub struct Shift {
    /// How much of the way each step has gone: `"10%"`.
    pub steps: Vec<Percent>,
    /// Between two steps.
    #[serde(default = "seconds::<15>")]
    pub every: Span,
    /// Stop when the target itself turns out bad.
    #[serde(default = "yes")]
    pub watch: bool,
}

/// A whole number and a percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Percent(pub u8);

impl TryFrom<String> for Percent {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
        let percent = number.filter(|percent| (1..=100).contains(percent)).map(Self);
        percent.ok_or("not a percentage from \"1%\" to \"100%\"")
    }
}

impl Service {
    /// Whether an alert with these labels is about this service.
    pub fn matches(&self, labels: &Labels) -> bool {
        !self.alerts.is_empty() && self.alerts.iter().all(|matchers| matchers.matches(labels))
    }

    /// Every room of the service; the first is the main one.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.room.iter().chain(&self.rooms)
    }

    /// How long a shift may take. Pods are replaced one by one: a rollout gets more than Kubernetes' own 10 min without progress.
    pub fn shift_within(&self) -> Span {
        let minutes = if self.replaces_pods() { 15 } else { 2 };
        self.shift_within.unwrap_or(Span(Duration::from_secs(60 * minutes)))
    }

    /// Whether the target has to come from the registry: by default only where pods are replaced; a pool has it already.
    pub fn must_pull(&self) -> bool {
        self.must_pull.unwrap_or(self.replaces_pods())
    }

    /// Pools whose content nothing tells but the records that name them.
    pub fn only_recorded(&self) -> Vec<String> {
        if self.traffic.shifter.tells_what_runs() {
            return Vec::new();
        }
        let has_version = |pool: &str| self.pools.get(pool).is_some_and(|pool| pool.version.is_some());
        let pools = self.traffic.shifter.pools().into_iter().filter(|pool| !has_version(pool));
        pools.map(str::to_owned).collect()
    }

    /// Whether going back means that other pods are made.
    pub fn replaces_pods(&self) -> bool {
        self.traffic.strategy == Strategy::Rolling || self.traffic.shifter.replaces_pods()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    #[default]
    Required,
    /// Shifts without a click.
    None,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Traffic {
    pub strategy: Strategy,
    #[serde(rename = "*")]
    pub shifter: Shifter,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Pool {
    pub version: Option<probe::VersionConfig>,
    /// Asked before traffic moves here, and between the steps of a shift.
    #[serde(default)]
    pub health: Vec<probe::HealthConfig>,
    /// Of this pool alone: looked at between the steps of a shift, where the service's own rate says nothing about a few
    /// percent of the traffic.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// What proves that the service is well again.
#[derive(Debug, Clone, Deserialize)]
pub struct Health {
    #[serde(default = "seconds::<5>")]
    pub every: Span,
    #[serde(default = "minutes::<5>")]
    pub recover_within: Span,
    #[serde(default = "three")]
    pub good_in_a_row: u32,
    #[serde(default)]
    pub http: Vec<probe::HealthConfig>,
    #[serde(default)]
    pub metrics: Vec<Metric>,
    #[serde(default)]
    pub tolerance: Tolerance,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            every: seconds::<5>(),
            recover_within: minutes::<5>(),
            good_in_a_row: three(),
            http: Vec::new(),
            metrics: Vec::new(),
            tolerance: Tolerance::default(),
        }
    }
}

/// A metric is good at `max(factor × baseline, baseline + points)` or below.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Tolerance {
    #[serde(default = "default_factor")]
    pub factor: f64,
    /// Percentage points.
    #[serde(default = "default_points")]
    pub points: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { factor: default_factor(), points: default_points() }
    }
}

fn default_factor() -> f64 {
    1.5
}

fn default_points() -> f64 {
    0.5
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn yes() -> bool {
    true
}

fn seconds<const N: u64>() -> Span {
    Span(Duration::from_secs(N))
}

fn minutes<const N: u64>() -> Span {
    Span(Duration::from_secs(60 * N))
}
