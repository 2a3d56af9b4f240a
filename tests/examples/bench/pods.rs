//! A Deployment of ten replicas back to the version before: from the approval to the first patch, and to all replicas on the target,
//! beside `kubectl rollout undo` on the same cluster. And what two thousand other Deployments in the namespace cost.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood::{engine::Engine, service::Services, store::Store};
use lastgood_adapters::traffic::{Shifter, kubernetes_rollout};
use lastgood_core::{
    Actor,
    rollback::{Event, Phase, Standing},
};
use lastgood_tests::{
    process::poll_async,
    real::kubernetes::{Kubernetes, NAMESPACE, deployment, image, nodes::Nodes},
    rigs,
};
use serde_json::{Value, json};
use tokio::sync::{RwLock, watch};

use super::{
    adapters::{HOUR, bare, reaches, record},
    table::{Sample, Table},
};

const RUNS: usize = 5;
const REPLICAS: u32 = 10;
const LIMIT: Duration = Duration::from_secs(60);
const PATH: &str = "/apis/apps/v1/namespaces/shop/deployments/checkout";
const CROWD: usize = 2_000;

type Cluster = Arc<RwLock<Kubernetes>>;

/// Since it was asked for.
struct Took {
    patched: Duration,
    replaced: Duration,
}

impl Took {
    fn patched(&self) -> Duration {
        self.patched
    }

    fn replaced(&self) -> Duration {
        self.replaced
    }
}

pub async fn measure(table: &mut Table) {
    assert!(
        Command::new("kubectl").arg("version").arg("--client").output().is_ok(),
        "kubectl is missing (Debian: kubernetes-client)"
    );
    let cluster: Cluster = Arc::new(RwLock::new(Kubernetes::start().await));
    let _nodes = Nodes::start(&cluster).await;
    let object = deployment(REPLICAS, &image("v1"), &json!([]));
    cluster.read().await.create(PATH.rsplit_once('/').unwrap().0, &object).await;
    settled(&cluster, "v1").await;
    let (mut us, mut them) = (Vec::new(), Vec::new());
    // In turns, so that both meet the same machine.
    for _ in 0..RUNS {
        deploy(&cluster).await;
        us.push(approved(&cluster).await);
        deploy(&cluster).await;
        them.push(undone(&cluster).await);
    }
    for (what, which) in
        [("first patch", Took::patched as fn(&Took) -> _), ("all 10 replicas on the target", Took::replaced)]
    {
        let by_hand = Sample::times(them.iter().map(which)).p50();
        let figure = format!("approval → {what}, ms");
        table.add(
            &figure,
            &Sample::times(us.iter().map(which)),
            None,
            Some(("kubectl rollout undo", by_hand)),
        );
    }
    let shifter = shifter(&cluster).await;
    let alone = reading(&*shifter).await;
    cluster.read().await.crowd(CROWD, &image("v1")).await;
    let floor = Some(("alone", alone.p50()));
    table.add("reading a Deployment among 2000 others, ms", &reading(&*shifter).await, None, floor);
}

async fn shifter(cluster: &Cluster) -> Arc<dyn Shifter> {
    rigs::built::<kubernetes_rollout::Config>(json!({
        "namespace": NAMESPACE, "workload": "deployment/checkout",
        "cluster": {"kubeconfig": cluster.read().await.kubeconfig()},
    }))
}

async fn reading(shifter: &dyn Shifter) -> Sample {
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        shifter.observe().await.unwrap();
        times.push(began.elapsed());
    }
    Sample::times(times)
}

async fn object(cluster: &Cluster) -> Value {
    cluster.read().await.get(PATH).await
}

fn asks_for(object: &Value, version: &str) -> bool {
    object["spec"]["template"]["spec"]["containers"][0]["image"] == image(version).as_str()
}

fn all_run(object: &Value, version: &str) -> bool {
    let status = &object["status"];
    asks_for(object, version)
        && status["observedGeneration"] == object["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|key| status[*key] == REPLICAS)
}

async fn settled(cluster: &Cluster, version: &str) {
    poll_async(version, LIMIT, || async { all_run(&object(cluster).await, version).then_some(()) }).await;
}

async fn deploy(cluster: &Cluster) {
    let containers = json!([{"name": "app", "image": image("v2")}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    cluster.read().await.patch(PATH, "kubectl", &patch).await;
    settled(cluster, "v2").await;
}

/// Looks at the Deployment as often as it can.
async fn watched(cluster: &Cluster, began: Instant) -> Took {
    poll_async("the patch", LIMIT, || async { asks_for(&object(cluster).await, "v1").then_some(()) }).await;
    let patched = began.elapsed();
    settled(cluster, "v1").await;
    Took { patched, replaced: began.elapsed() }
}

async fn undone(cluster: &Cluster) -> Took {
    let kubeconfig = cluster.read().await.admins_kubeconfig();
    let began = Instant::now();
    let mut undo = Command::new("kubectl");
    undo.arg("--kubeconfig").arg(kubeconfig).args([
        "-n",
        NAMESPACE,
        "rollout",
        "undo",
        "deployment/checkout",
    ]);
    let mut running = undo.stdout(std::process::Stdio::null()).spawn().unwrap();
    let took = watched(cluster, began).await;
    assert!(running.wait().unwrap().success());
    took
}

async fn approved(cluster: &Cluster) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let service = bare(shifter(cluster).await);
    let store = Store::open(&format!("sqlite:{}/lastgood.db", folder.path().display()), None).await.unwrap();
    let clock = Arc::new(lastgood::clock::System);
    let (engine, executor) = Engine::new(store, Services::new([service]), clock, Duration::from_secs(10));
    executor.join().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(executor.run(stopped));
    let now = engine.now();
    record(&engine, "v1", None, now - 2 * HOUR).await;
    record(&engine, "v2", None, now - HOUR).await;
    let by = Actor::new("os:ana", "ana");
    let ask = lastgood::engine::propose::Ask {
        service: "checkout".into(),
        by: by.clone(),
        wanted: None,
        reason: None,
    };
    let id = engine.propose(&ask).await.unwrap();
    let revision = reaches(&engine, id, |phase| matches!(phase, Phase::Proposed { .. })).await;
    let began = Instant::now();
    let standing = Standing { approver: true, ..Standing::default() };
    let approve = Event::Approved { by, standing, revision, confirmed: false, reason: None };
    let (took, taken) = tokio::join!(watched(cluster, began), engine.take(id, &approve));
    taken.unwrap();
    reaches(&engine, id, |phase| matches!(phase, Phase::Observing { .. } | Phase::Ended { .. })).await;
    stop.send_replace(true);
    running.await.unwrap();
    took
}
