//! `lastgood health`, for container images without any other program: asks the server's `/healthz`.

use std::{process::ExitCode, time::Duration};

use clap::Args as Arguments;
use lastgood_adapters::client;

use super::{Context, Ended, Fault, output::say};

const WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Arguments)]
pub struct Args {
    /// The server's address [default: the configured one]
    #[arg(long)]
    url: Option<String>,
}

pub async fn run(context: &Context, args: Args) -> Ended {
    let mut client = client::client();
    let base = match args.url {
        Some(url) => url,
        None => {
            let http = context.config()?.0.http;
            let mut address = http.listen;
            // "All interfaces" is for listening.
            if address.ip().is_unspecified() {
                let loopback: std::net::IpAddr = match address {
                    std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                };
                address.set_ip(loopback);
            }
            let scheme = if http.tls.is_some() { "https" } else { "http" };
            if http.tls.is_some() {
                client = client::of_whoever_answers();
            }
            format!("{scheme}://{address}")
        }
    };
    let client = client.map_err(|error| Fault::new(error.to_string()))?;
    let url = format!("{}/healthz", base.trim_end_matches('/'));
    let down = |why: String| Fault::new(format!("{url}: {why}; is `lastgood serve` running there?"));
    let asked = client.get(&url).timeout(WITHIN).send().await;
    let answer = asked.map_err(|error| down(reason(&error)))?;
    if !answer.status().is_success() {
        return Err(down(format!("answers {}", answer.status())));
    }
    say("up")?;
    Ok(ExitCode::SUCCESS)
}

fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
