//! The bot itself. The first signal ends it in order: nothing new is taken, what runs gets to a safe point, and running
//! rollbacks stay in the database for the next start. A second one ends it at once.

use std::{io, process::ExitCode};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Context, Ended, Fault};
use crate::{
    app::App,
    chat::{self, Talk},
    engine::Executor,
    http::{self, Listening, Tls},
    telemetry,
};

pub async fn run(context: &Context) -> Ended {
    let (config, warnings) = context.config()?;
    telemetry::init(config.log.format, "info");
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let signals = Signals::new()?;
    // Before anything else begins: a server that nobody can reach is of no use.
    let tls = config.http.tls.as_ref().map(Tls::load).transpose()?;
    let (app, executor) = App::open(config).await?;
    executor.join().await?;
    let listener = match http::bind(app.config.http.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            give_back(executor).await;
            return Err(error.into());
        }
    };
    let connections = http::fitting(app.config.http.connections);
    let listening = Listening { tls, ..Listening::plain(connections) };
    work(app, executor, listener, listening, signals).await
}

/// A lease that was taken is not left to run out.
async fn give_back(executor: Executor) {
    let (_stop, stopped) = watch::channel(true);
    executor.run(stopped).await;
}

async fn work(
    app: App,
    executor: Executor,
    listener: TcpListener,
    listening: Listening,
    mut signals: Signals,
) -> Ended {
    let address = listener.local_addr().map_err(|error| Fault::new(format!("no address: {error}")))?;
    let (stop, stopped) = watch::channel(false);
    let store = app.engine.store.clone();
    if !app.engine.lease().executes() {
        tracing::warn!("another process executes; this one answers, and takes over when that one ends");
    }
    let talk = Talk::new(&app, chat::configured(&app)?);
    let scheme = if listening.tls.is_some() { "https" } else { "http" };
    let router = http::router(app.clone(), talk.clone());
    let serving = http::serve(listener, router, listening, stopped.clone());
    let executing = executor.run(stopped.clone());
    let talking = talk.run(&app, stopped.clone());
    let working = async {
        let served = async {
            let served = serving.await;
            // Without its socket the process is of no use: everything else ends with it.
            stop.send_replace(true);
            served
        };
        tokio::join!(served, executing, talking).0
    };
    tracing::info!(services = app.services.iter().count(), "lastgood is ready at {scheme}://{address}");
    tokio::pin!(working);
    let served = tokio::select! {
        served = &mut working => served,
        name = signals.next() => {
            tracing::info!("{name}: ending; running rollbacks go on at the next start");
            stop.send_replace(true);
            tokio::select! {
                served = &mut working => served,
                name = signals.next() => {
                    tracing::warn!("{name} again: ending at once");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    };
    store.close().await;
    served.map_err(|error| Fault::new(format!("the server at {address} failed: {error}")))?;
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Fault> {
        let open = |kind| {
            signal(kind).map_err(|error: io::Error| Fault::new(format!("signals can't be received: {error}")))
        };
        Ok(Self { terminate: open(SignalKind::terminate())?, interrupt: open(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
