//! Owners that apply a workload from Git are suspended, and go on as they were. Argo CD in a whole conversation: `chain::pods`.

use lastgood_adapters::{
    Fault,
    traffic::{Held, Preflight},
};
use lastgood_tests::real::kubernetes::{NAMESPACE, image};
use serde_json::{Value, json};

use super::{Scene, to};

const FLUX: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/shop/kustomizations";
const AUTOMATIONS: &str = "/apis/image.toolkit.fluxcd.io/v1beta2/namespaces/shop/imageupdateautomations";

fn labels(name: &str) -> Value {
    json!({"kustomize.toolkit.fluxcd.io/name": name, "kustomize.toolkit.fluxcd.io/namespace": NAMESPACE})
}

impl Scene {
    async fn asks(&self, path: &str) -> Value {
        self.cluster.read().await.get(path).await
    }

    /// Flux applies the workload through `shop`, that through `cluster`, and `cluster` itself; images are bumped by `bump`.
    async fn flux() -> Self {
        let scene = Self::of(1, [&image("v2.4.0"), &image("v2.4.1")], &json!({"gitops": "suspend"})).await;
        let cluster = scene.cluster.read().await;
        for definition in [
            include_str!("../../../src/real/kubernetes/crds/Kustomization.json"),
            include_str!("../../../src/real/kubernetes/crds/ImageUpdateAutomation.json"),
            include_str!("../../../src/real/kubernetes/crds/GitRepository.json"),
        ] {
            cluster.define(definition).await;
        }
        cluster.permit(include_str!("../../../../deploy/kubernetes/gitops.yaml"), "lastgood").await;
        let source = json!({"kind": "GitRepository", "name": "shop"});
        let object = |kind: &str, version: &str, name: &str, by: Option<&str>, spec: Value| {
            json!({"apiVersion": version, "kind": kind, "spec": spec,
                   "metadata": {"name": name, "labels": by.map_or_else(|| json!({}), labels)}})
        };
        let kustomize = "kustomize.toolkit.fluxcd.io/v1";
        let spec = json!({"interval": "1m", "path": "./", "prune": true, "sourceRef": source});
        for (name, by) in [("cluster", "cluster"), ("shop", "cluster")] {
            cluster.create(FLUX, &object("Kustomization", kustomize, name, Some(by), spec.clone())).await;
        }
        let automation = json!({"interval": "1m", "sourceRef": source});
        let version = "image.toolkit.fluxcd.io/v1beta2";
        cluster
            .create(AUTOMATIONS, &object("ImageUpdateAutomation", version, "bump", None, automation))
            .await;
        let folder = "/apis/source.toolkit.fluxcd.io/v1/namespaces/shop/gitrepositories";
        let repository = json!({"interval": "1m", "url": "https://git.example.com/shop.git"});
        cluster
            .create(folder, &object("GitRepository", "source.toolkit.fluxcd.io/v1", "shop", None, repository))
            .await;
        let artifact = json!({"status": {"artifact": {"revision": "main@sha1:aaaa"}}});
        cluster.patch(&format!("{folder}/shop/status"), "source-controller", &artifact).await;
        let applied = json!({"status": {"lastAppliedRevision": "main@sha1:aaaa"}});
        cluster.patch(&format!("{FLUX}/shop/status"), "kustomize-controller", &applied).await;
        drop(cluster);
        scene.edit("kustomize-controller", &json!({"metadata": {"labels": labels("shop")}})).await;
        scene
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flux_stands_still_up_to_its_topmost_kustomization_and_goes_on() {
    let scene = Scene::flux().await;
    let warnings = scene.warned(&to("v2.4.0")).await.join("; ");
    let all = [
        "Flux Kustomization shop/cluster",
        "Flux Kustomization shop/shop",
        "Flux ImageUpdateAutomation shop/bump",
    ];
    let said = format!("applied from Git: {} will be suspended until the incident closes", all.join(", "));
    assert!(warnings.contains(&said), "{warnings}");
    assert!(
        scene.shifter.foresee(&to("v2.4.0")).await.unwrap().notes.contains(&said),
        "before anybody approves"
    );
    assert!(
        scene.asks(&format!("{FLUX}/shop")).await["spec"]["suspend"].is_null(),
        "preflight changes nothing"
    );

    assert_eq!(scene.shifter.truce().unwrap().hold("one").await.unwrap(), all, "the topmost first");
    assert_eq!(scene.shifter.truce().unwrap().hold("one").await.unwrap(), all, "once more is the same");
    // Another service's incident needs the same owners.
    assert_eq!(scene.shifter.truce().unwrap().hold("two").await.unwrap(), all);
    let paths = [format!("{FLUX}/cluster"), format!("{FLUX}/shop"), format!("{AUTOMATIONS}/bump")];
    for path in &paths {
        let object = scene.asks(path).await;
        assert_eq!(object["spec"]["suspend"], true, "{object}");
        let kept: Value =
            serde_json::from_str(object["metadata"]["annotations"]["lastgood.io/held"].as_str().unwrap())
                .unwrap();
        assert_eq!(kept, json!({"was": null, "for": ["one", "two"]}), "as it was before anything was held");
    }
    let danger = |held: Vec<Held>| held.into_iter().filter_map(|one| one.danger).collect::<Vec<_>>();
    assert_eq!(
        danger(scene.shifter.truce().unwrap().held("one").await.unwrap()),
        [
            "Git is still at main@sha1:aaaa, which Flux Kustomization shop/shop applied before: it would apply that again"
        ]
    );
    // Another revision is no proof of anything.
    let artifact = json!({"status": {"artifact": {"revision": "main@sha1:bbbb"}}});
    let source = "/apis/source.toolkit.fluxcd.io/v1/namespaces/shop/gitrepositories/shop/status";
    scene.cluster.read().await.patch(source, "source-controller", &artifact).await;
    let unsure = danger(scene.shifter.truce().unwrap().held("one").await.unwrap()).concat();
    assert!(
        unsure.contains("can't be told (it is at main@sha1:bbbb, and was at main@sha1:aaaa)"),
        "{unsure}"
    );

    let gone = scene.shifter.truce().unwrap().let_go("one").await.unwrap();
    assert!(gone.on.is_empty() && gone.still.len() == 3, "the other still needs them: {gone:?}");
    assert!(scene.shifter.truce().unwrap().held("one").await.unwrap().is_empty());
    assert_eq!(scene.asks(&paths[0]).await["spec"]["suspend"], true);
    assert_eq!(scene.shifter.truce().unwrap().let_go("two").await.unwrap().on.len(), 3);
    for path in &paths {
        let object = scene.asks(path).await;
        assert!(object["spec"]["suspend"].is_null(), "{object}");
        assert!(object["metadata"]["annotations"]["lastgood.io/held"].is_null(), "{object}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_suspended_stays_theirs() {
    let scene = Scene::flux().await;
    let (path, other) = (format!("{FLUX}/shop"), format!("{FLUX}/cluster"));
    let sets = async |path: &str, suspend: Value| {
        scene.cluster.read().await.patch(path, "kubectl", &json!({"spec": {"suspend": suspend}})).await;
    };
    sets(&path, json!(true)).await;
    let names = scene.shifter.truce().unwrap().hold("one").await.unwrap();
    assert!(!names.contains(&"Flux Kustomization shop/shop".to_owned()), "{names:?}");
    scene.shifter.truce().unwrap().let_go("one").await.unwrap();
    assert_eq!(scene.asks(&path).await["spec"]["suspend"], true, "it was no doing of ours");
    // What a person lets go meanwhile goes on as they left it; and when it is held again, that is how it was.
    scene.shifter.truce().unwrap().hold("one").await.unwrap();
    sets(&other, json!(false)).await;
    scene.shifter.truce().unwrap().hold("one").await.unwrap();
    assert_eq!(scene.asks(&other).await["spec"]["suspend"], true);
    scene.shifter.truce().unwrap().let_go("one").await.unwrap();
    assert_eq!(scene.asks(&other).await["spec"]["suspend"], false);
    // Who is gone needs no letting go, and is no reason to fail for ever.
    sets(&path, json!(false)).await;
    scene.shifter.truce().unwrap().hold("one").await.unwrap();
    scene.cluster.read().await.delete(&path).await;
    let gone = scene.shifter.truce().unwrap().let_go("one").await.unwrap();
    assert!(gone.on.is_empty() && gone.still.is_empty(), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_suspended_is_refused_before() {
    let scene = Scene::of(1, [&image("v2.4.0"), &image("v2.4.1")], &json!({"gitops": "suspend"})).await;
    let tracked = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:shop/checkout"}}});
    scene.edit("argocd-controller", &tracked).await;
    let refused = scene.refused(&to("v2.4.0")).await;
    assert!(
        refused.contains("its owner can't be suspended"),
        "nobody may look into that namespace: {refused}"
    );
    let cluster = scene.cluster.read().await;
    cluster.define(include_str!("../../../src/real/kubernetes/crds/Application.json")).await;
    cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": "team"}})).await;
    let role = include_str!("../../../../deploy/kubernetes/gitops.yaml");
    cluster.permit_in("team", role, "lastgood").await;
    let set = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "teams", "uid": "1", "controller": true});
    let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "ownerReferences": [set]}, "spec": {"syncPolicy": {"automated": {}}}});
    cluster.create("/apis/argoproj.io/v1alpha1/namespaces/team/applications", &application).await;
    drop(cluster);
    let refused = scene.refused(&to("v2.4.0")).await;
    assert!(refused.contains("ApplicationSet teams makes Argo CD application team/shop"), "{refused}");
    let checked = format!("{:?}", scene.shifter.check().await);
    assert!(checked.contains("suspending GitOps") && checked.contains("ApplicationSet teams"), "{checked}");
    assert!(matches!(scene.shifter.truce().unwrap().hold("RB-1").await, Err(Fault::Invalid(_))));
    // Nobody who applies it: nobody to suspend.
    scene
        .edit("kubectl", &json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": null}}}))
        .await;
    let plain = Scene::of(1, [&image("v2.4.0"), &image("v2.4.1")], &json!({"gitops": "suspend"})).await;
    assert!(matches!(plain.shifter.preflight(&to("v2.4.0")).await.unwrap(), Preflight::Ready { .. }));
    assert!(plain.shifter.truce().unwrap().hold("one").await.unwrap().is_empty());
}
