//! What watches the shop, and what keeps its images: a real Prometheus with a rule, a real Alertmanager, a real registry.

use lastgood_core::{Artifact, Digest};
use lastgood_tests::real::{
    alertmanager::Alertmanager,
    prometheus::{Options, Prometheus},
    registry::{PASSWORD, Registry, USER},
};

use super::stage::{ALERT_TOKEN, Stage, Wishes};

const ERRORS: &str = r#"sum(increase(http_requests_total{service="checkout",code=~"5.."}[5s]))"#;
const TOTAL: &str = r#"sum(increase(http_requests_total{service="checkout"}[5s]))"#;
/// Looks back further than recovery takes, so that the alert is still firing then, and the run waits for its end.
const RULES: &str = r#"groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: >
          sum by (service) (increase(http_requests_total{code=~"5.."}[30s]))
          / sum by (service) (increase(http_requests_total[30s])) > 0.005
        labels: { severity: page }
        annotations: { summary: "checkout answers with errors" }
"#;

pub struct Outside {
    pub prometheus: Prometheus,
    #[expect(dead_code, reason = "held for its end")]
    alertmanager: Alertmanager,
    #[expect(dead_code, reason = "held for its end")]
    registry: Registry,
}

impl Outside {
    /// Starts them around a stage; what runs there is what the registry holds.
    pub async fn start(stage: &mut Stage) -> (Self, Wishes) {
        Self::told_in(stage, None).await
    }

    /// As `start`; Alertmanager also posts to this address of Slack's.
    pub async fn told_in(stage: &mut Stage, slack: Option<&str>) -> (Self, Wishes) {
        let folder = stage.folder.path();
        let registry = Registry::start(folder, false).await;
        let push = async |version: &str| {
            let digest = registry.push("shop/checkout", version, version).await;
            Artifact { version: version.to_owned(), digest: Digest::try_from(digest).unwrap() }
        };
        let (old, new) = (push("v2.4.0").await, push("v2.4.1").await);
        std::fs::write(folder.join("registry-password"), PASSWORD).unwrap();
        let webhook = format!("http://{}/v1/alerts/alertmanager", stage.bot);
        let alertmanager = Alertmanager::start(folder, &webhook, ALERT_TOKEN, slack).await;
        let targets = ["blue", "green"].map(|pool| (pool, stage.shop.pool(pool)[0].at()));
        let options = Options { targets: &targets, rules: Some(RULES), alertmanager: Some(alertmanager.at) };
        let prometheus = Prometheus::start(folder, &options).await;
        let more = format!(
            "[services.checkout.registry]\nkind = 'oci'\nrepository = '{}'\nplain_http = true\nusername = '{USER}'\n\
             password = {{ file = '{}' }}",
            registry.repository("shop/checkout"),
            folder.join("registry-password").display(),
        );
        let health = format!(
            "every = '1s'\nrecover_within = '12s'\ngood_in_a_row = 3\nhttp = [{{ url = '{}/healthz' }}]\n\
             [[services.checkout.health.metrics]]\nname = 'error rate'\nkind = 'prometheus'\nurl = '{}'\n\
             errors = '{ERRORS}'\ntotal = '{TOTAL}'\nbaseline_percent = 0.5",
            stage.url(),
            prometheus.url(),
        );
        stage.shop.runs("blue", &old);
        stage.shop.runs("green", &new);
        (stage.old, stage.new) = (old, new);
        (
            Self { prometheus, alertmanager, registry },
            Wishes { more, health: Some(health), ..Wishes::default() },
        )
    }

    /// Waits until the part of requests that end in an error is as given.
    pub async fn error_rate(&self, fits: impl Fn(f64) -> bool) -> f64 {
        self.prometheus.until(&format!("{ERRORS} / ({TOTAL} > 50)"), fits).await
    }
}
