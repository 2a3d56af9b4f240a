//! One connection: its TLS handshake, its requests, and what each stage of it may take.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{Notify, watch},
};

use super::tls::Tls;

/// What the stages of a connection may take. While a request is worked on, the limits on requests count instead.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The TLS handshake, and then a request's headers: from the connection on, or from the first byte of a later request.
    pub head: Duration,
    /// Between two requests, and for taking an answer. Longer than the minute for which load balancers keep connections: who
    /// closes first should be the one that sends requests.
    pub idle: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), idle: Duration::from_secs(75) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has come since the last answer.
    Idle,
    /// A request is awaited, or has begun.
    Head,
    /// A request is worked on.
    Request,
}

/// What every connection of a server is served with.
#[derive(Clone)]
pub struct Serving {
    pub router: Router,
    pub times: Times,
    pub tls: Option<Tls>,
}

impl Serving {
    /// Until the other side ends it, a limit does, or `stop` turns true and what is under way is answered. While it is idle it
    /// ends also when `crowded` tells.
    pub async fn serve(self, stream: TcpStream, crowded: &Notify, stop: watch::Receiver<bool>) {
        // Answers are small: they should not wait for more.
        stream.set_nodelay(true).ok();
        match &self.tls {
            None => self.answer(stream, crowded, stop).await,
            Some(tls) => {
                let mut stopped = stop.clone();
                let shaken = tokio::select! {
                    shaken = tokio::time::timeout(self.times.head, tls.accept(stream)) => shaken,
                    _ = stopped.wait_for(|stop| *stop) => return,
                };
                match shaken {
                    Ok(Ok(stream)) => self.answer(stream, crowded, stop).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
            }
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        crowded: &Notify,
        mut stop: watch::Receiver<bool>,
    ) {
        let (stage, watched) = watch::channel(Stage::Head);
        let stream = TokioIo::new(Heard { stream, stage: stage.clone() });
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|request: hyper::Request<Incoming>| {
            stage.send_replace(Stage::Request);
            let answer = router.call(request.map(Body::new));
            let stage = stage.clone();
            async move {
                let answer = answer.await;
                stage.send_replace(Stage::Idle);
                answer
            }
        });
        // hyper's own limit would count from the last answer on, and so be the one on idle connections, too.
        let connection = http1::Builder::new().header_read_timeout(None).serve_connection(stream, service);
        let mut connection = pin!(connection);
        let closing = async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = idle(watched.clone(), crowded) => {}
            }
        };
        tokio::select! {
            ended = connection.as_mut() => return said(ended),
            () = overdue(watched.clone(), self.times) => return,
            () = closing => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            ended = connection.as_mut() => said(ended),
            () = overdue(watched, self.times) => {}
        }
    }
}

fn said(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Ends when a stage takes longer than it may.
async fn overdue(mut stage: watch::Receiver<Stage>, times: Times) {
    loop {
        let limit = match *stage.borrow_and_update() {
            Stage::Head => times.head,
            Stage::Idle => times.idle,
            Stage::Request => Duration::MAX,
        };
        match tokio::time::timeout(limit, stage.changed()).await {
            Ok(Ok(())) => {}
            // The connection has ended.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// Ends when the connection is idle at the moment that others need its place.
async fn idle(stage: watch::Receiver<Stage>, crowded: &Notify) {
    loop {
        crowded.notified().await;
        if *stage.borrow() == Stage::Idle {
            return;
        }
    }
}

/// A stream that tells when something comes after an answer.
struct Heard<S> {
    stream: S,
    stage: watch::Sender<Stage>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.stage.send_if_modified(|stage| {
                let begins = *stage == Stage::Idle;
                if begins {
                    *stage = Stage::Head;
                }
                begins
            });
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
