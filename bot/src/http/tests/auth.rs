use super::{CI, READER, SENDER, Server, send};

const DEPLOYMENTS: &str = "/v1/deployments";

#[tokio::test]
async fn what_needs_no_token_answers_without_one() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(send(server.request("GET", path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn everything_else_wants_the_right_token() {
    let server = Server::start().await;
    for (method, path) in [
        ("POST", DEPLOYMENTS),
        ("POST", "/v1/alerts/alertmanager"),
        ("GET", "/v1/gate?service=checkout&version=v1"),
        ("GET", "/v1/rollbacks/RB-1"),
        ("GET", "/rollbacks/RB-1"),
    ] {
        send(server.request(method, path)).await.refused(401, "Authorization: Bearer");
        let wrong = server.request(method, path).bearer_auth("hunter2-wrong");
        send(wrong).await.refused(401, "no configured token");
        let not_for_this = if path.contains("rollbacks") { CI } else { READER };
        send(server.request(method, path).bearer_auth(not_for_this)).await.refused(403, "to its `may`");
    }
}

#[tokio::test]
async fn a_refusal_says_how_to_authenticate() {
    let server = Server::start().await;
    let response = server.request("GET", "/rollbacks/RB-1").send().await.unwrap();
    let offered: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(offered, ["Bearer realm=\"lastgood\"", "Basic realm=\"lastgood\", charset=\"UTF-8\""]);
}

#[tokio::test]
async fn basic_authentication_takes_the_name_with_the_secret() {
    let server = Server::start().await;
    let ask = |name: &str, secret: &str| {
        send(server.request("POST", DEPLOYMENTS).basic_auth(name, Some(secret)).body("{"))
    };
    ask("ci", CI).await.refused(400, "not JSON");
    ask("ci", SENDER).await.refused(401, "no configured token");
    ask("alertmanager", CI).await.refused(401, "no configured token");
    for header in ["", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic Y2k=", "Digest x", "Bearer\u{e4}"] {
        let request = server.request("POST", DEPLOYMENTS).header("authorization", header);
        send(request).await.refused(401, "give a token");
    }
}

#[tokio::test]
async fn without_tokens_nobody_may_and_hears_why() {
    let server = Server::start_with(|config| {
        let from = config.find("[pagers.oncall]").unwrap();
        config[from..].to_owned()
    })
    .await;
    server.get("/v1/gate", CI).await.refused(401, "no tokens are configured");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let server = Server::start().await;
    server.get("/v2/gate", CI).await.refused(404, "nothing is at /v2/gate");
    server.get(DEPLOYMENTS, CI).await.refused(405, "takes no GET");
    server.get("/v1/rollbacks/%FF", READER).await.refused(400, "can't be read");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_ready_but_alive() {
    let server = Server::start().await;
    server.lose_the_store().await;
    assert_eq!(send(server.request("GET", "/healthz")).await.status, 200);
    send(server.request("GET", "/readyz")).await.refused(503, "try again");
    // What is known without it is told all the same: now it is looked at.
    let metrics = send(server.request("GET", "/metrics")).await;
    assert!(metrics.text.contains("\nlastgood_database_up 0\n"), "{}", metrics.text);
    assert!(metrics.text.contains("\nlastgood_executor_turn_age_seconds 0."), "{}", metrics.text);
    assert!(!metrics.text.contains("lastgood_rollbacks_running"), "{}", metrics.text);
}

/// Its executor is never run: the loop stands still from the beginning.
#[tokio::test]
async fn an_executor_that_stands_still_is_neither_ready_nor_alive() {
    let server = Server::start_with(|config| format!("store.lease_term = \"1s\"\n{config}")).await;
    assert_eq!(send(server.request("GET", "/readyz")).await.status, 200);
    tokio::time::sleep(server.app.engine.lease().pulse().limit).await;
    send(server.request("GET", "/readyz")).await.refused(503, "stands still");
    send(server.request("GET", "/healthz")).await.refused(503, "start lastgood anew");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let server = Server::start().await;
    let answer = send(server.request("GET", "/metrics")).await;
    assert!(answer.kind.starts_with("text/plain; version=0.0.4"));
    assert!(answer.text.contains("\nlastgood_rollbacks_running 0\n"));
    assert!(answer.text.contains("\nlastgood_database_up 1\n"));
    assert!(answer.text.contains("\nlastgood_build_info{version=\"0.1.0\"} 1\n"));
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        assert_eq!(line.split(' ').count(), 2, "{line}");
    }
}
