//! What belongs to one service, and what services say about each other.

use std::time::Duration;

use lastgood_adapters::duration::Span;
use lastgood_core::Strategy;

use super::Rules;
use crate::{
    command::table::{Group, TABLE},
    config::{
        problem::Path,
        sections::Config,
        service::{Health, Pool, Service},
    },
    inbound::matcher::{Labels, Matcher},
};

/// Alertmanager's default `repeat_interval`.
const REPEATED_WITHIN: Duration = Duration::from_secs(4 * 3_600);

impl Rules<'_> {
    pub(super) fn services(&mut self, config: &Config) {
        let names = self.declared(&keys!["services"]);
        if names.is_empty() {
            self.warn(keys!["services"], "no service is declared", "add one as [services.NAME]");
        }
        let pagers = self.declared(&keys!["pagers"]);
        for (name, service) in &config.services {
            let at = keys!["services", name.as_str()];
            self.names(&at, name, service);
            for (index, other) in service.depends_on.iter().enumerate() {
                let at = at.then("depends_on").then(index);
                if other == name {
                    self.problem(at, "a service does not depend on itself");
                } else {
                    self.refer(at, "service", other, &names);
                }
            }
            for (index, pager) in service.page.iter().enumerate() {
                self.refer(at.then("page").then(index), "pager", pager, &pagers);
            }
            if service.page.is_empty() {
                self.warn(
                    at.then("page"),
                    "nobody is paged when a rollback does not help",
                    "name a pager in `page`",
                );
            }
            self.rooms(&at, service);
            self.approval(&at, service);
            self.alerts(&at, service);
            self.artifacts(&at, service);
            self.pools(&at, service);
            self.times(&at, service);
            self.steps(&at, service);
            self.health(&at.then("health"), &service.health);
            self.sections(&at, service);
        }
        self.same_alerts(config);
    }

    /// What adapters say of their sections.
    fn sections(&mut self, at: &Path, service: &Service) {
        if let Some(registry) = &service.registry {
            self.section(&at.then("registry"), registry);
        }
        if self.intact(&at.then("traffic")) {
            self.section(&at.then("traffic"), &service.traffic.shifter);
        }
        for (name, pool) in &service.pools {
            let at = at.then("pools").then(name.as_str());
            if let Some(version) = &pool.version {
                self.section(&at.then("version"), version);
            }
            for (index, check) in pool.health.iter().enumerate() {
                self.section(&at.then("health").then(index), check);
            }
            for (index, metric) in pool.metrics.iter().enumerate() {
                self.section(&at.then("metrics").then(index), metric);
            }
        }
        let at = at.then("health");
        for (index, check) in service.health.http.iter().enumerate() {
            self.section(&at.then("http").then(index), check);
        }
        for (index, metric) in service.health.metrics.iter().enumerate() {
            self.section(&at.then("metrics").then(index), metric);
        }
    }

    fn names(&mut self, at: &Path, name: &str, service: &Service) {
        let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(good) {
            let what = "a service's name is typed in commands: letters, digits, \"-\", \"_\" and \".\" only";
            self.problem(at.clone(), what);
        }
        if TABLE.iter().any(|row| row.group == Group::Rollback && row.name.eq_ignore_ascii_case(name)) {
            let what =
                format!("`/rollback {name}` is a command: a service of that name could not be rolled back");
            self.advise(at.clone(), what, "call it otherwise");
        }
        if service.environment.trim().is_empty() {
            self.advise(at.then("environment"), "empty", "for example \"production\"");
        }
    }

    fn alerts(&mut self, at: &Path, service: &Service) {
        let at = at.then("alerts");
        if !service.alerts.is_empty() && service.matches(&Labels::new()) {
            self.warn(
                at,
                "every alert without these labels is this service's",
                "demand a label: service=\"…\"",
            );
        }
    }

    /// Two services with the same matchers: one alert would be two proposals.
    fn same_alerts(&mut self, config: &Config) {
        let mut seen: Vec<(Vec<&Matcher>, &str)> = Vec::new();
        for (name, service) in &config.services {
            let mut matchers: Vec<_> = service.alerts.iter().flat_map(|matchers| &matchers.0).collect();
            matchers.sort_by_key(|matcher| matcher.to_string());
            matchers.dedup();
            if matchers.is_empty() {
                continue;
            }
            if let Some((_, other)) = seen.iter().find(|(others, _)| *others == matchers) {
                let at = keys!["services", name.as_str(), "alerts"];
                let what = format!("the same alerts as service {other:?}");
                self.warn(at, what, "each of them would propose a rollback");
            }
            seen.push((matchers, name));
        }
    }

    fn artifacts(&mut self, at: &Path, service: &Service) {
        if service.registry.is_none() && service.must_pull() && self.intact(&at.then("registry")) {
            let what = "the target has to be pulled, but there is no registry";
            self.advise(
                at.then("registry"),
                what,
                "for example registry = { kind = \"oci\", repository = \"…\" }",
            );
        }
    }

    /// Pools are described in one place and named by traffic in another.
    fn pools(&mut self, at: &Path, service: &Service) {
        let traffic = at.then("traffic");
        if !self.intact(&traffic) {
            return;
        }
        let routed: Vec<_> = service.traffic.shifter.pools().into_iter().map(str::to_owned).collect();
        if let Some(misfit) = service.traffic.shifter.misfit(service.traffic.strategy) {
            self.problem(traffic.then("strategy"), misfit);
        }
        if routed.is_empty() {
            return;
        }
        let described = self.declared(&at.then("pools"));
        for pool in &described {
            self.refer(at.then("pools").then(pool.as_str()), "pool in traffic", pool, &routed);
        }
        for pool in routed.iter().filter(|pool| !described.contains(pool)) {
            let what = format!("pool {pool:?} has no [{}.{pool}]", at.then("pools"));
            let advice = "without it, what it runs and whether it is healthy can't be asked";
            self.warn(traffic.clone(), what, advice);
        }
    }

    fn times(&mut self, at: &Path, service: &Service) {
        let times = [
            ("suspect_within", service.suspect_within),
            ("expires_after", service.expires_after),
            ("answer_within", service.answer_within),
            ("ack_within", service.ack_within),
            ("act_within", service.act_within),
            ("alert_clears_within", service.alert_clears_within),
            ("again_after", service.again_after),
            ("alert_expires", service.alert_expires),
            ("shift_within", service.shift_within()),
        ];
        for (key, _) in times.into_iter().filter(|(_, span)| span.0.is_zero()) {
            self.problem(at.then(key), "must be longer than nothing");
        }
        if service.bake < service.health.every {
            let what =
                "shorter than health.every: nobody looks whether a service that has recovered stays well";
            self.advise(at.then("bake"), what, "leave it out, or make it several times health.every");
        }
        if service.answer_within > service.expires_after {
            let what = "longer than expires_after: an unanswered proposal would end before it pages";
            self.warn(at.then("answer_within"), what, format!("expires_after is {}", service.expires_after));
        }
        if service.alert_expires.0 < REPEATED_WITHIN && !service.alert_expires.0.is_zero() {
            let what = "Alertmanager repeats an alert after 4h by default: it would be taken for a new one each time";
            self.warn(
                at.then("alert_expires"),
                what,
                "keep it above Alertmanager's `repeat_interval` and `group_interval` together",
            );
        }
    }

    /// A shift in steps.
    fn steps(&mut self, at: &Path, service: &Service) {
        let Some(shift) = &service.shift else { return };
        let at = at.then("shift");
        if !shift.steps.is_sorted_by(|a, b| a.0 < b.0) {
            self.problem(at.then("steps"), "each step has to go further than the one before");
        }
        if shift.steps.is_empty() {
            self.advise(at.then("steps"), "empty", "leave `shift` out to move all traffic at once");
        }
        if shift.every.0.is_zero() {
            self.problem(at.then("every"), "must be longer than nothing");
        }
        if service.traffic.strategy == Strategy::Rolling {
            self.problem(at.clone(), "a rolling update has steps of its own");
        }
        if self.intact(&at) && !service.traffic.shifter.splits() {
            let advice = "leave `shift` out, or use `weights`";
            self.advise(at.clone(), "a switch moves all traffic at once, and not in steps", advice);
        }
        let seen = |pool: &Pool| !pool.health.is_empty() || !pool.metrics.is_empty();
        if shift.watch && !service.pools.values().any(seen) {
            let advice = "give the pools `health` or `metrics` of their own, or say watch = false";
            self.warn(at.then("watch"), "there is nothing to watch the target by", advice);
        }
    }

    fn health(&mut self, at: &Path, health: &Health) {
        if health.every.0.is_zero() {
            self.problem(at.then("every"), "must be longer than nothing");
        }
        if health.good_in_a_row == 0 {
            self.problem(at.then("good_in_a_row"), "at least one good observation is needed");
        }
        if !(health.tolerance.factor.is_finite() && health.tolerance.factor >= 1.0) {
            self.problem(at.then("tolerance").then("factor"), "must be 1 or more");
        }
        if !(0.0..=100.0).contains(&health.tolerance.points) {
            self.problem(at.then("tolerance").then("points"), "must be from 0 to 100 percentage points");
        }
        if health.http.is_empty() && health.metrics.is_empty() && self.intact(at) {
            let what = "nothing is observed: recovery could never be shown";
            self.advise(at.clone(), what, "add `http` checks or `metrics`");
        }
        let row = health.every.0.saturating_mul(health.good_in_a_row);
        if row > health.recover_within.0 {
            let what =
                format!("{} observations every {} take {}", health.good_in_a_row, health.every, Span(row));
            self.advise(at.then("recover_within"), what, format!("make it at least {}", Span(row)));
            return;
        }
        for (index, metric) in health.metrics.iter().enumerate() {
            let window = metric.window().unwrap_or(Duration::ZERO);
            let needed = Span(window.saturating_add(row));
            if needed.0 > health.recover_within.0 {
                let what = format!(
                    "{:?} looks back {}: {} good readings after the shift take {needed}, and recover_within is {}",
                    metric.name(),
                    Span(window),
                    health.good_in_a_row,
                    health.recover_within
                );
                let advice = "shorten the query's range or allow more time";
                self.advise(at.then("metrics").then(index), what, advice);
            }
        }
    }
}
