//! Customers at a constant rate, on kept connections and on new ones, while traffic is moved there and back.

use lastgood_tests::client::{Client, Lost, Summary};

use lastgood_tests::rigs::{Cost, Rig, apply, from, settled};

const PER_SECOND: u32 = 200;
/// Requests before, between and after the flips.
const PAUSE: usize = 60;
/// Kept connections that may be cut, in percent of all requests.
const FEW: usize = 5;

pub async fn customers_are_served_throughout<R: Rig>(rig: R) {
    let adapter = rig.adapter();
    let customers: Vec<_> = rig.fronts().iter().map(|front| Client::start(front, PER_SECOND)).collect();
    let mut calm = Vec::new();
    for (wanted, left) in [(from(100, 0), "blue"), (from(0, 100), "green"), (from(100, 0), "blue")] {
        for customer in &customers {
            customer.more(PAUSE).await;
        }
        apply(&*adapter, &wanted).await.unwrap();
        settled(&*adapter, &wanted).await;
        let done = std::time::Instant::now();
        for customer in &customers {
            customer.more(PAUSE).await;
        }
        calm.push((left, done, std::time::Instant::now()));
    }
    for customer in customers {
        judge(&customer.stop().await, &calm, R::COST, R::LAG);
    }
}

/// Nothing failed that must not, and the side that was left saw no new request once the shift was reported as done.
fn judge(
    summary: &Summary,
    calm: &[(&str, std::time::Instant, std::time::Instant)],
    cost: Cost,
    lag: std::time::Duration,
) {
    let failed = summary.unexplained();
    let all = summary.requests.len();
    println!("{} of {all} requests were cut, over {} moves", failed.len(), calm.len());
    match cost {
        Cost::Nothing => assert!(failed.is_empty(), "{} of {all} failed: {:?}", failed.len(), failed[0]),
        Cost::Resets => {
            let cut = |one: &&lastgood_tests::client::Request| matches!(&one.outcome, Err(Lost::Reset));
            assert!(failed.iter().all(cut), "not only cut connections: {failed:?}");
            // What a client may ask again for costs it a moment; many of them would be an outage all the same.
            assert!(failed.len() * 100 <= all * FEW, "{} of {all} were cut", failed.len());
        }
    }
    if cost == Cost::Nothing {
        for (left, done, end) in calm {
            let late = summary
                .answered_by(left)
                .filter(|request| request.sent > *done + lag && request.sent < *end)
                .count();
            assert_eq!(late, 0, "{left} was asked after the shift was done");
        }
    }
}
