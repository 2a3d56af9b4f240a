//! What every adapter that moves traffic between pools must do, whatever it moves it with: the same cases for each, on the
//! real program, with customers. An adapter joins with a rig of its own and one line below.

mod cases;
mod customers;

/// One test per case.
macro_rules! conforms {
    ($($name:ident: $rig:ty,)+) => {$(
        mod $name {
            use super::{cases, customers};
            conforms!(@tests $rig: cases: [
                moves_and_is_idempotent splits_as_asked resumes_after_a_kill_in_the_middle names_what_can_not_be_reached
                is_denied_without_a_change refuses_a_target_that_is_missing refuses_a_target_that_is_dead
                refuses_a_target_that_is_too_small does_not_fight_another_hand bears_a_slow_answer
                knows_a_lost_answer_for_unknown outlives_a_restart refuses_nonsense checks_itself
            ]);
            conforms!(@tests $rig: customers: [customers_are_served_throughout]);
        }
    )+};
    (@tests $rig:ty: $from:ident: [$($case:ident)+]) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $from::$case(<$rig as lastgood_tests::rigs::Rig>::start().await).await;
        }
    )+};
}

conforms! {
    haproxy_map: lastgood_tests::rigs::haproxy::ByMap,
    haproxy_weights: lastgood_tests::rigs::haproxy::ByWeights,
    envoy_runtime: lastgood_tests::rigs::envoy::ByRuntime,
    envoy_file: lastgood_tests::rigs::envoy::ByFile,
    traefik_file: lastgood_tests::rigs::traefik::Traefik,
    nginx_file: lastgood_tests::rigs::nginx::Nginx,
    caddy_weights: lastgood_tests::rigs::caddy::ByWeights,
    caddy_upstreams: lastgood_tests::rigs::caddy::ByUpstreams,
    kubernetes_service: lastgood_tests::rigs::kubernetes::Kube<lastgood_tests::rigs::kubernetes::Service>,
    kubernetes_gateway_api: lastgood_tests::rigs::kubernetes::Kube<lastgood_tests::rigs::kubernetes::Gateway>,
    kubernetes_istio: lastgood_tests::rigs::kubernetes::Kube<lastgood_tests::rigs::kubernetes::Istio>,
    kubernetes_ingress_nginx: lastgood_tests::rigs::kubernetes::Kube<lastgood_tests::rigs::kubernetes::IngressNginx>,
    kubernetes_traefik_crd: lastgood_tests::rigs::kubernetes::Kube<lastgood_tests::rigs::kubernetes::Traefik>,
    exec: lastgood_tests::rigs::contract::Exec,
    http: lastgood_tests::rigs::contract::Http,
}
