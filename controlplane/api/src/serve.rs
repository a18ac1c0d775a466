//! The listening side: a limited number of connections, a limited time for a header, a limited time to end.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most connections at once; those beyond wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 256;
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 32;
/// How long a request header may take to arrive.
const HEADER_S: u64 = 10;
/// How long requests under way may take once the server is told to end. A stream of events is cut off then.
const END_MS: u64 = 1_000;
/// Pause after an `accept` that failed (out of file descriptors, mostly).
const ACCEPT_PAUSE_MS: u64 = 100;

/// Serves `router` until `end` is ready, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, end: impl Future<Output = ()>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADER_S));
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            // What a client does to its own connection is its own affair.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_millis(END_MS), graceful.shutdown()).await;
}
