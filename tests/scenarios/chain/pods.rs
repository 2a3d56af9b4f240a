//! A whole conversation about a Deployment: a real API server and controllers behind the bot.

use std::{sync::Arc, time::Duration};

use lastgood::clock;
use lastgood_core::rollback::{Phase, Why};
use lastgood_tests::{
    database::Kind,
    process::{poll, poll_async},
    real::{
        kubernetes::{
            Kubernetes, NAMESPACE, deployment, image,
            nodes::{Manner, Nodes},
        },
        registry::Registry,
    },
    shop::artifact,
    standin::{
        argo_cd::{APPLICATION, ArgoCd},
        forge::{FILE, Forge, TOKEN},
    },
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::{
    images::{self, built},
    stage::{Stage, Wishes},
    world::{World, snapshot},
};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";

fn env(value: &str) -> Value {
    json!([{"name": "FEATURE", "value": value}])
}

struct Pods {
    world: World,
    cluster: Arc<RwLock<Kubernetes>>,
    nodes: Nodes,
}

impl Pods {
    /// v2.4.1 runs everywhere and answers with errors; an alert says so.
    async fn broken(replicas: u32) -> Self {
        let mut pods = Self::good(replicas).await;
        pods.sets("kubectl", "v2.4.1", &env("new")).await;
        pods.all_run("v2.4.1", replicas).await;
        pods.nodes.ill("v2.4.1");
        pods.alert().await;
        pods
    }

    /// v2.4.1 is recorded, and an alert fires.
    async fn alert(&mut self) {
        self.world.http.records(&self.world.stage.new, "", None).await;
        self.world.since = clock::rfc3339(self.world.bot.app.engine.now() + 1_000);
        self.world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    }

    /// v2.4.0 runs everywhere.
    async fn good(replicas: u32) -> Self {
        Self::with(replicas, "").await
    }

    /// With more lines of the shifter's section.
    async fn with(replicas: u32, more: &str) -> Self {
        // Nodes pull for themselves: no registry is set up here.
        Self::on(Stage::set().await, replicas, more, "must_pull = false", &image("v2.4.0"), &[]).await
    }

    /// On a stage, with lines of the service; the first image is this one, and of these versions these digests are reported.
    async fn on(
        stage: Stage,
        replicas: u32,
        more: &str,
        service: &str,
        first: &str,
        reported: &[(&str, &str)],
    ) -> Self {
        let cluster = Kubernetes::start().await;
        let traffic = format!(
            "strategy = 'rolling'\nkind = 'kubernetes-rollout'\nnamespace = '{NAMESPACE}'\nworkload = 'deployment/checkout'\n\
             cluster = {{ kubeconfig = '{}' }}\n{more}",
            cluster.kubeconfig().display()
        );
        let cluster = Arc::new(RwLock::new(cluster));
        let nodes = Nodes::start(&cluster).await;
        for (version, digest) in reported {
            nodes.reports(version, digest);
        }
        cluster.read().await.create(DEPLOYMENTS, &deployment(replicas, first, &env("old"))).await;
        let health = format!(
            "every = '100ms'\nrecover_within = '6s'\ngood_in_a_row = 3\nhttp = [{{ url = '{}' }}]",
            nodes.health()
        );
        let wishes = Wishes {
            traffic: Some(traffic),
            health: Some(health),
            service: service.to_owned(),
            ..Wishes::default()
        };
        let world = World::open(stage, Kind::Sqlite, &wishes).await;
        let pods = Self { world, cluster, nodes };
        pods.all_run_image(first, replicas).await;
        pods
    }

    async fn sets(&self, manager: &str, version: &str, env: &Value) {
        self.sets_image(manager, &image(version), env).await;
    }

    async fn sets_image(&self, manager: &str, image: &str, env: &Value) {
        let containers = json!([{"name": "app", "image": image, "env": env}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.cluster.read().await.patch(&format!("{DEPLOYMENTS}/checkout"), manager, &patch).await;
    }

    async fn all_run(&self, version: &str, replicas: u32) {
        self.all_run_image(&image(version), replicas).await;
    }

    async fn all_run_image(&self, image: &str, replicas: u32) {
        poll_async(image, Duration::from_secs(30), || async {
            let object = self.cluster.read().await.get(&format!("{DEPLOYMENTS}/checkout")).await;
            let (spec, status) = (&object["spec"], &object["status"]);
            (spec["template"]["spec"]["containers"][0]["image"] == image
                && status["observedGeneration"] == object["metadata"]["generation"]
                && ["replicas", "updatedReplicas", "availableReplicas"]
                    .iter()
                    .all(|key| status[*key] == replicas))
            .then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_goes_back_by_one_click() {
    let pods = Pods::broken(3).await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    let thread = pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.4.0", 3).await;
    snapshot("deployment_goes_back", &thread);
    pods.world.ends().await;
}

/// Pipelines record the index of what they build and deploy it by its tag; these nodes report the manifest of their platform.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platforms_own_manifest_is_the_image_that_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(folder.path(), true).await;
    let (old, new) = (built(&registry, "v2.4.0").await, built(&registry, "v2.4.1").await);
    let mut stage = Stage::set().await;
    (stage.old, stage.new) = (old.index.clone(), new.index.clone());
    let by_tag = |version: &str| format!("registry.example.com/shop/checkout:{version}");
    let reported = [&old, &new].map(|of| (of.manifest.version.as_str(), of.manifest.digest.as_str()));
    let mut pods = Pods::on(stage, 2, "", &images::section(&registry), &by_tag("v2.4.0"), &reported).await;
    pods.sets_image("kubectl", &by_tag("v2.4.1"), &env("new")).await;
    pods.all_run_image(&by_tag("v2.4.1"), 2).await;
    pods.nodes.ill("v2.4.1");
    pods.alert().await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    let proposal = pods.world.run(1).await.proposal.unwrap();
    assert_eq!(proposal.failing.unwrap().artifact, new.index);
    // That it ran is known by the tag alone, which is what the click is for.
    let caveats: Vec<_> = proposal.caveats.iter().map(|caveat| caveat.text.as_str()).collect();
    assert!(matches!(caveats[..], [one] if one.contains("was found by its tag")), "{caveats:?}");
    pods.world.presses(&pods.world.ana, "Approve v2.4.0 anyway").await;
    pods.world.run_ends(1, "recovered").await;
    pods.all_run_image(&format!("{}@{}", by_tag("v2.4.0"), old.index.digest), 2).await;
    for refused in [&new.index, &new.manifest] {
        assert_eq!(pods.world.gate(refused).await["allowed"], false);
    }
    pods.world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_can_not_be_pulled_pages_with_the_pods_own_reason() {
    let pods = Pods::broken(3).await;
    pods.nodes.behave("v2.4.0", Manner::NotPulled);
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.world.reads("ImagePullBackOff").await;
    let page = poll("the page", Duration::from_secs(5), || pods.world.stage.pagerduty.open().pop()).await;
    assert!(page.summary.contains("checkout"), "{page:?}");
    let run = pods.world.run(1).await;
    let Phase::Escalated { why: Why::PartlyShifted { detail, .. } } = &run.phase else {
        panic!("{:?}", run.phase)
    };
    assert!(detail.contains("ImagePullBackOff"), "nobody else is blamed for it: {detail}");
    pods.world.presses(&pods.world.ben, "I'm on it").await;
    pods.world.presses(&pods.world.ben, "Hand over").await;
    pods.world.run_ends(1, "handed over").await;
    pods.world.ends().await;
}

/// Killed right after the click: whoever starts next finds out what became of the patch, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_is_restarted_in_the_middle_of_a_rollout_goes_on() {
    let pods = Pods::broken(6).await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.world.reads("▓").await;
    let Pods { world, cluster, nodes } = pods;
    let pods = Pods { world: world.restart().await, cluster, nodes };
    pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.4.0", 6).await;
    pods.world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_puts_the_bad_release_back_is_named_in_a_page() {
    let pods = Pods::broken(2).await;
    // Nothing recovers, so that it is watched for long.
    pods.nodes.ill("v2.4.0");
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.all_run("v2.4.0", 2).await;
    poll_async("observation", Duration::from_secs(10), || async {
        matches!(pods.world.run(1).await.phase, Phase::Observing { .. }).then_some(())
    })
    .await;
    pods.sets("argocd-controller", "v2.4.1", &env("new")).await;
    pods.world.reads("argocd-controller changed it last").await;
    let phase = pods.world.run(1).await.phase;
    assert!(matches!(phase, Phase::Escalated { why: Why::MovedByAnotherHand { .. } }), "{phase:?}");
    pods.world.presses(&pods.world.ben, "I'm on it").await;
    pods.world.presses(&pods.world.ben, "Hand over").await;
    pods.world.run_ends(1, "handed over").await;
    pods.world.ends().await;
}

/// The alert fires while v2.4.1 is still being rolled out, and its pods crash. Undo then leads to all of it: half a rollout can't
/// be left standing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_is_half_way_goes_back_and_undo_leads_to_all_of_it() {
    let mut pods = Pods::good(4).await;
    pods.nodes.behave("v2.4.1", Manner::Crashes);
    pods.sets("kubectl", "v2.4.1", &env("new")).await;
    pods.alert().await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.4.0", 4).await;
    pods.nodes.behave("v2.4.1", Manner::Ready);
    pods.world.fills(&pods.world.ana, "Undo", &[("reason", "it was the node")]).await;
    pods.world.presses(&pods.world.ben, "Approve: back to v2.4.1").await;
    pods.world.presses(&pods.world.ben, "Approve v2.4.1 anyway").await;
    pods.all_run("v2.4.1", 4).await;
    pods.world.run_ends(2, "recovered").await;
    pods.world.ends().await;
}

/// Argo CD would put the rollback back within moments. It is suspended, and goes on when Git is right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_cd_stands_still_until_git_is_right_again() {
    let mut pods = Pods::with(2, "gitops = 'suspend'").await;
    let git = |version: &str, env: Value| json!([{"name": "app", "image": image(version), "env": env}]);
    let argo = ArgoCd::start(&pods.cluster, git("v2.4.1", env("new"))).await;
    pods.all_run("v2.4.1", 2).await;
    pods.nodes.ill("v2.4.1");
    pods.alert().await;
    pods.world
        .reads("applied from Git: Argo CD application shop will be suspended until the incident closes")
        .await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.4.0", 2).await;
    let application = || async { pods.cluster.read().await.get(APPLICATION).await };
    assert!(application().await["spec"]["syncPolicy"]["automated"].is_null(), "{}", application().await);
    pods.world.reads("Argo CD application shop is suspended until INC-1 closes").await;

    // The incident is closed and Git still wants v2.4.1: nothing is let go before somebody says so.
    let cause = [("root_cause", "the connection pool was halved by mistake"), ("was_release", "yes")];
    pods.world.fills(&pods.world.ana, "Close INC-1", &cause).await;
    pods.world.reads("Git still differs from what runs: Argo CD application shop would apply it again").await;
    assert!(application().await["spec"]["syncPolicy"]["automated"].is_null());
    argo.push(git("v2.4.0", env("old")));
    poll_async("Argo CD to compare", Duration::from_secs(10), || async {
        (application().await["status"]["sync"]["status"] == "Synced").then_some(())
    })
    .await;
    pods.world.presses(&pods.world.ana, "Resume anyway").await;
    pods.world.reads("goes on as before").await;
    let application = application().await;
    let automated = json!({"prune": true, "selfHeal": true});
    assert_eq!(application["spec"]["syncPolicy"]["automated"], automated);
    assert!(application["metadata"]["annotations"]["lastgood.io/held"].is_null(), "{application}");
    pods.all_run("v2.4.0", 2).await;
    pods.world.ends().await;
}

/// The rollback is a change of Git: nothing moves before somebody merges it, and then Argo CD moves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_in_git_is_the_shift_when_it_is_merged() {
    let manifest = |version: &str| format!("containers:\n- name: app\n  image: {}\n", image(version));
    let forge = Forge::start(&manifest("v2.4.1")).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let more = format!(
        "gitops = 'pull-request'\nrevert = {{ forge = 'github', repository = 'shop/deploy', file = '{FILE}', \
         token = {{ file = '{}' }}, url = '{}' }}",
        token.path().display(),
        forge.url("github")
    );
    let mut pods = Pods::with(2, &more).await;
    let git = |version: &str| json!([{"name": "app", "image": image(version), "env": env("new")}]);
    let argo = ArgoCd::start(&pods.cluster, git("v2.4.1")).await;
    pods.all_run("v2.4.1", 2).await;
    pods.nodes.ill("v2.4.1");
    pods.alert().await;
    pods.world.reads("its change is proposed, and traffic moves when somebody merges it").await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.4.0").await;
    pods.world.reads("waits for somebody to merge https://git.example.com/").await;
    let [(branch, title)] = &forge.open()[..] else { panic!("{:?}", forge.open()) };
    assert_eq!(title, "RB-1: back to v2.4.0");
    pods.all_run("v2.4.1", 2).await;
    assert_eq!(forge.merge(branch), manifest("v2.4.0"));
    argo.push(git("v2.4.0"));
    pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.4.0", 2).await;
    pods.world.ends().await;
}

/// A person chooses a version that runs nowhere now: that is what is rolled out, and what is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_that_runs_nowhere_is_rolled_out_by_its_own_name() {
    let mut pods = Pods::good(2).await;
    let older = artifact("v2.3.0");
    let two_hours_ago = pods.world.bot.app.engine.now() - 7_200_000;
    pods.world.http.records(&older, "", Some(two_hours_ago)).await;
    for version in ["v2.3.0", "v2.4.1"] {
        pods.sets("kubectl", version, &env("new")).await;
        pods.all_run(version, 2).await;
    }
    pods.nodes.ill("v2.4.1");
    pods.alert().await;
    let chosen = [("candidate", older.digest.as_str())];
    pods.world.fills(&pods.world.ana, "Choose another version", &chosen).await;
    pods.world.presses(&pods.world.ana, "Roll back to v2.3.0").await;
    pods.world.run_ends(1, "recovered").await;
    pods.all_run("v2.3.0", 2).await;
    let db = pods.world.bot.app.engine.store.reader();
    let newest = lastgood::store::releases::newest(db, &"checkout".into(), 1).await.unwrap().remove(0);
    assert_eq!(newest.artifact, older);
    pods.world.ends().await;
}
