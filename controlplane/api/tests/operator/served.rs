//! Over real connections, on loopback.

use crate::fake::Fixture;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Serves a fixture while `client` runs, then tells the server to end and waits until it has.
async fn serving<F: Future<Output = ()>>(fixture: &Fixture, client: impl FnOnce(std::net::SocketAddr) -> F) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(coeur_api::serve(listener, fixture.router.clone(), async move { _ = ended.await }));
    client(address).await;
    end.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), server).await.expect("the server ends in time").unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}

async fn exchange(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes on nonsense may reset the connection: what came until then is the answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_are_answered_and_nonsense_ends_its_own_connection_only() {
    let fixture = Fixture::new();
    serving(&fixture, |address| async move {
        for nonsense in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", &[b'x'; 100_000], b"GET / HTTP/9.9\r\n\r\n"]
        {
            let answer = exchange(address, &[nonsense, b"\r\n\r\n"].concat()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        let answer = exchange(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server() {
    let fixture = Fixture::new();
    serving(&fixture, |address| async move {
        let idle = TcpStream::connect(address).await.unwrap();
        let answer = exchange(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"));
        std::mem::forget(idle);
    })
    .await;
}
