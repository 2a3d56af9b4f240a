//! Routes on a real API server. What the objects say is really stored, guarded, admitted and permitted; who routes by them is a
//! stand-in (`front`), and so is the kubelet (`pods`). Every object that the adapter makes is judged by the published schema
//! on its way (`wire`).

mod front;
mod kinds;
mod pods;
pub mod wire;

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lastgood_adapters::traffic::Shifter;
use serde_json::{Value, json};
use tokio::{sync::RwLock, task::JoinHandle};

pub use self::kinds::{Gateway, IngressNginx, Istio, Service, Traefik};
use self::{front::Front, wire::Wire};
use super::{Cost, Rig};
use crate::{
    lossy::Lossy,
    process::poll_async,
    real::kubernetes::{Kubernetes, NAMESPACE},
    shop::Shop,
};

/// What differs from kind to kind.
pub trait Kind: Send + Sync + 'static {
    const SPLITS: bool = true;
    /// Whether who routes by it says that it follows.
    const ACKNOWLEDGES: bool = false;
    const ROLE: &'static str;
    const DEFINITIONS: &'static [&'static str] = &[];
    /// The object that is written.
    const PATH: &'static str;

    /// Objects with the paths of their folders; all traffic goes to blue.
    fn objects() -> Vec<(&'static str, Value)>;

    /// The adapter, with `green` as its green pool unless another is given.
    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter>;

    /// Of the object: how much blue gets.
    fn blue(object: &Value) -> u8;

    /// A merge patch by which somebody else gives blue so much.
    fn by_hand(object: &Value, blue: u8) -> Value;

    /// What who routes by it writes into its status.
    fn status(_object: &Value) -> Option<Value> {
        None
    }
}

pub type Cluster = Arc<RwLock<Kubernetes>>;

pub struct Kube<K> {
    shop: Shop,
    cluster: Cluster,
    front: Front,
    wire: Wire,
    network: [Lossy; 1],
    kubelet: JoinHandle<()>,
    kind: PhantomData<K>,
}

impl<K> Drop for Kube<K> {
    fn drop(&mut self) {
        self.kubelet.abort();
    }
}

impl<K: Kind> Kube<K> {
    fn config(&self, kubeconfig: &std::path::Path) -> Value {
        json!({"namespace": NAMESPACE, "cluster": {"kubeconfig": kubeconfig}, "timeout": "4s"})
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Somebody writes the object.
    pub async fn edit(&self, manager: &str, patch: &Value) {
        self.cluster.read().await.patch(K::PATH, manager, patch).await;
    }

    pub async fn object(&self) -> Value {
        self.cluster.read().await.get(K::PATH).await
    }

    /// Who routes by the object follows it no more, or again.
    pub fn follows(&self, does: bool) {
        self.front.follows(does);
    }
}

#[async_trait]
impl<K: Kind> Rig for Kube<K> {
    const SPLITS: bool = K::SPLITS;
    const KEEPS: bool = true;
    const COST: Cost = Cost::Nothing;
    const LAG: Duration = if K::ACKNOWLEDGES { Duration::ZERO } else { Duration::from_millis(200) };
    const CHANGE: Option<&'static str> = Some("PATCH ");

    async fn start() -> Self {
        let shop = super::shop().await;
        let cluster = Kubernetes::start().await;
        cluster.permit(K::ROLE, "lastgood").await;
        cluster.show("reader").await;
        for definition in K::DEFINITIONS {
            cluster.define(definition).await;
        }
        pods::create(&cluster, &shop).await;
        for (folder, object) in K::objects() {
            cluster.create(folder, &object).await;
        }
        let cluster = Arc::new(RwLock::new(cluster));
        let servers = Arc::new(Mutex::new(pods::Servers::of(&shop)));
        let kubelet = tokio::spawn(pods::keep(cluster.clone(), servers.clone()));
        let front = Front::start::<K>(&cluster, servers).await;
        let wire = Wire::start(&cluster).await;
        let network = [Lossy::tcp(wire.at()).await];
        let rig = Self { shop, cluster, front, wire, network, kubelet, kind: PhantomData };
        let adapter = rig.adapter();
        poll_async("pods that are ready, and who routes to them", Duration::from_secs(20), || async {
            let seen = adapter.observe().await.ok()?;
            let ready = seen.capacity.values().all(|pool| pool.alive == 3);
            (ready && seen.warnings.is_empty() && super::ask(&rig.front.url()).await == "blue").then_some(())
        })
        .await;
        rig
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        K::adapter(self.config(&self.wire.kubeconfig(self.network[0].at())), false)
    }

    fn networks(&self) -> &[Lossy] {
        &self.network
    }

    fn instances(&self) -> Vec<String> {
        vec![K::PATH.to_owned()]
    }

    fn fronts(&self) -> Vec<String> {
        vec![self.front.url()]
    }

    async fn by_hand(&mut self, blue: u8) {
        let patch = K::by_hand(&self.object().await, blue);
        self.edit("kubectl", &patch).await;
    }

    async fn restart(&mut self) {
        self.cluster.write().await.restart_api().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        let kubeconfig = self.cluster.try_read().expect("nobody restarts it").readers_kubeconfig();
        K::adapter(self.config(&kubeconfig), false)
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        K::adapter(self.config(&self.wire.kubeconfig(self.network[0].at())), true)
    }
}
