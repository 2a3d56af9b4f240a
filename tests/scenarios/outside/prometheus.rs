//! A real Prometheus that scrapes a counter of ours.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use lastgood_adapters::{
    Fault,
    metrics::{Metrics as _, prometheus},
};
use lastgood_tests::real::prometheus::{Options, Prometheus};
use serde_json::{Value, json};

use super::{Stage, kind, only, without};

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
}

/// Something to scrape: a shop with `bad` errors among a hundred requests in every scrape.
async fn shop(bad: u64) -> SocketAddr {
    let counters = Arc::new(Counters::default());
    let metrics = move |State(counters): State<Arc<Counters>>| async move {
        let requests = counters.requests.fetch_add(100, Ordering::SeqCst);
        let errors = counters.errors.fetch_add(bad, Ordering::SeqCst);
        format!(
            "requests_total {requests}\nerrors_total {errors}\nby_path{{path=\"/\"}} 1\nby_path{{path=\"/x\"}} 1\n"
        )
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let app = Router::new().route("/metrics", get(metrics)).with_state(counters);
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

#[expect(clippy::disallowed_methods, reason = "a real Prometheus lives in real time")]
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn adapter(
    stage: &Stage,
    url: &str,
    errors: &str,
    total: Option<&str>,
    more: Value,
) -> prometheus::Prometheus {
    let mut config =
        json!({ "name": "error rate", "url": url, "errors": errors, "total": total, "timeout": "2s" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value::<prometheus::Config>(config).unwrap().build(stage.http.clone()).unwrap()
}

#[tokio::test]
async fn rates_are_read_and_no_data_is_no_rate() {
    let stage = Stage::new();
    let targets = [("shop", shop(5).await)];
    let options = Options { targets: &targets, ..Options::default() };
    let server = Prometheus::start(stage.folder.path(), &options).await;
    server.until("increase(requests_total[10s])", |number| number > 300.0).await;
    let with = |errors: &str, total: &str| adapter(&stage, &server.url(), errors, Some(total), json!({}));

    let good = with("sum(increase(errors_total[10s]))", "sum(increase(requests_total[10s] offset 1s))");
    assert_eq!(good.window(), Duration::from_secs(11));
    let sample = good.error_rate(now()).await.unwrap().unwrap();
    assert!((0.02..0.15).contains(&sample.rate) && sample.requests.unwrap() > 100.0, "{sample:?}");
    assert_eq!(only(good.check(now()).await).0, "good");
    // As of an hour ago, nothing was known.
    assert_eq!(good.error_rate(now() - 3_600_000).await, Ok(None));

    let no_errors = with("sum(increase(never_total[10s]))", "sum(increase(requests_total[10s]))");
    assert_eq!(no_errors.error_rate(now()).await.unwrap().unwrap().rate, 0.0);
    assert_eq!(only(no_errors.check(now()).await).0, "warning");
    let no_traffic = with("sum(increase(errors_total[10s]))", "sum(increase(never_total[10s]))");
    assert_eq!(no_traffic.error_rate(now()).await, Ok(None));
    assert_eq!(only(no_traffic.check(now()).await).0, "warning");
    let zero = with("vector(0) # [9h]", "vector(0)");
    assert_eq!((zero.error_rate(now()).await, zero.window()), (Ok(None), Duration::ZERO));
    let not_a_number = with("vector(0)", "vector(0) / vector(0)");
    assert_eq!(not_a_number.error_rate(now()).await, Ok(None));
    let scalar = with("scalar(vector(1))", "4");
    assert_eq!(scalar.error_rate(now()).await.unwrap().unwrap().rate, 0.25);

    let ratio = "sum(increase(errors_total[10s])) / sum(increase(requests_total[10s]))";
    let ratio = adapter(&stage, &server.url(), ratio, None, json!({}));
    assert!(ratio.error_rate(now()).await.unwrap().unwrap().rate > 0.01);
}

#[tokio::test]
async fn queries_that_can_never_work_say_what_to_do() {
    let stage = Stage::new();
    let targets = [("shop", shop(0).await)];
    let options = Options { targets: &targets, ..Options::default() };
    let mut server = Prometheus::start(stage.folder.path(), &options).await;
    server.until("count(by_path)", |number| number == 2.0).await;
    let url = server.url();
    for (errors, word) in [
        ("sum(increase(errors_total[10s])))))", "too many"),
        ("sum by (", "not closed"),
        ("rate(errors_total[10s] @ 5)", "fixed time"),
    ] {
        let config = json!({ "name": "e", "url": url, "errors": errors });
        let config: prometheus::Config = serde_json::from_value(config).unwrap();
        let said = config.build(stage.http.clone()).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
    for (errors, word) in [
        ("increase(errors_total)", "parse error"),
        ("by_path", "aggregate"),
        ("errors_total[10s]", "range"),
        ("\"text\"", "text"),
    ] {
        let adapter = adapter(&stage, &url, errors, Some("vector(1)"), json!({}));
        let fault = adapter.error_rate(now()).await.unwrap_err();
        assert!(kind(&fault) == "invalid" && fault.to_string().contains(word), "{fault}");
        let text = without("correct horse", adapter.check(now()).await);
        assert!(text.contains("Bad") && text.contains("try the query"), "{text}");
    }
    let elsewhere = adapter(&stage, &format!("{url}/no/such/prefix"), "vector(1)", None, json!({}));
    assert_eq!(kind(&elsewhere.error_rate(now()).await.unwrap_err()), "invalid");

    let secrets = json!({ "username": "ana", "password": stage.secret("password", "correct horse") });
    let adapter = adapter(&stage, &url, "vector(0.5)", None, secrets);
    assert_eq!(adapter.error_rate(now()).await.unwrap().unwrap().rate, 0.5);
    server.process.kill();
    let fault = adapter.error_rate(now()).await.unwrap_err();
    assert_eq!(kind(&fault), "unavailable", "{fault}");
    without("correct horse", (fault, adapter.check(now()).await, &adapter));
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_told_apart() {
    let stage = Stage::new();
    let said = Arc::new(std::sync::Mutex::new((200, String::new())));
    let answers = said.clone();
    let answer = move |headers: HeaderMap| async move {
        let (status, body) = answers.lock().unwrap().clone();
        let status = if headers["authorization"] == "Bearer hunter2" { status } else { 599 };
        (StatusCode::from_u16(status).unwrap(), [("retry-after", "9")], body)
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/prefix", listener.local_addr().unwrap());
    let app = Router::new().route("/prefix/api/v1/query", post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let token = json!({ "token": stage.secret("token", "hunter2") });
    let adapter = adapter(&stage, &url, "vector(0)", Some("vector(1)"), token);

    let one = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}"#;
    for (status, body, wanted) in [
        (200, format!(r#"{one},"warnings":["one store did not answer"]}}"#), "unavailable"),
        (
            503,
            r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#.to_owned(),
            "unavailable",
        ),
        (422, r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#.to_owned(), "invalid"),
        (400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned(), "invalid"),
        (401, "hunter2 is wrong".to_owned(), "denied"),
        (429, "slow down".to_owned(), "rate limited"),
        (502, "<html>".to_owned(), "unavailable"),
        (200, "<html>sign in</html>".to_owned(), "invalid"),
        (200, "x".repeat(2 * 1024 * 1024), "invalid"),
    ] {
        *said.lock().unwrap() = (status, body);
        let fault = adapter.error_rate(0).await.unwrap_err();
        assert_eq!(kind(&fault), wanted, "{fault}");
        if let Fault::RateLimited { after, .. } = &fault {
            assert_eq!(*after, Some(Duration::from_secs(9)));
        }
        assert_eq!(only(adapter.check(0).await[..1].to_vec()).0, "bad");
        without("hunter2", fault);
    }
    *said.lock().unwrap() = (200, format!(r#"{one},"infos":["not a counter, by its name"]}}"#));
    assert_eq!(adapter.error_rate(0).await.unwrap().unwrap().rate, 1.0);
}
