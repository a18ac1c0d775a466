//! The whole daemon without a kernel's help: real sockets on loopback, tables in memory.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

#[path = "../../session/tests/smf/mod.rs"]
mod smf;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coeur_fastpath::Counters;
use coeur_rules::MapWrite;
use coeur_session::{Slot, Usage};
use coeur_slowpath::gtpu::{self, Message, kind};
use coeur_upf::config::Config;
use coeur_upf::daemon::Daemon;
use coeur_upf::tables::{PathTaken, Tables};
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::message::MsgType;
use smf::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The last write to each slot.
#[derive(Clone, Default)]
struct Memory {
    writes: Arc<Mutex<HashMap<String, MapWrite>>>,
    failing: Arc<Mutex<bool>>,
}

impl Tables for Memory {
    fn apply(&mut self, measure: &[Slot], writes: &[MapWrite]) -> Result<Vec<Usage>, String> {
        if *self.failing.lock().unwrap() {
            return Err("no memory".to_owned());
        }
        for write in writes {
            let key = match write {
                MapWrite::Uplink { index, .. } => format!("uplink {index}"),
                MapWrite::UplinkByTeid { teid, .. } => format!("uplink by {teid}"),
                MapWrite::Downlink { index, .. } => format!("downlink {index}"),
                MapWrite::DownlinkByAddress { address, .. } => format!("downlink by {address}"),
            };
            self.writes.lock().unwrap().insert(key, *write);
        }
        Ok(vec![Usage::default(); measure.len()])
    }

    fn forget_former_sessions(&mut self) {}

    fn counters(&self) -> Result<Counters, String> {
        Ok(Counters::default())
    }

    fn paths(&self) -> Vec<PathTaken> {
        vec![PathTaken { interface: "n3".to_owned(), path: "memory".to_owned(), reason: "a test".to_owned() }]
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn poll(&mut self) -> Result<(), String> {
        Ok(())
    }
}

struct Running {
    n4: SocketAddr,
    gtpu: SocketAddr,
    metrics: SocketAddr,
    tables: Memory,
    smf: UdpSocket,
    sequence_number: u32,
    stop: oneshot::Sender<()>,
    daemon: JoinHandle<anyhow::Result<Memory>>,
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Running {
    async fn start() -> Self {
        let gtpu_port = free_port();
        let text = "name = \"test\"\nn4 = \"127.0.0.1:0\"\npools = [\"10.45.0.0/16\"]\nsession_max = 10\nmetrics = \"127.0.0.1:0\"\n\
                    n3 = { interface = \"n3\", address = \"127.0.0.1\" }\nn6 = { interface = \"n6\" }\n";
        let config = Config::parse(Path::new("test.toml"), text).unwrap();
        let tables = Memory::default();
        let daemon = Daemon::open(config, tables.clone(), gtpu_port).await.unwrap();
        let ready: serde_json::Value = serde_json::from_str(&daemon.ready_line().unwrap()).unwrap();
        assert_eq!((&ready["event"], &ready["paths"][0]["path"]), (&"ready".into(), &"memory".into()));
        let metrics = ready["metrics"].as_str().unwrap().parse().unwrap();
        let n4 = daemon.n4_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let daemon = tokio::spawn(daemon.run(async move { drop(stopped.await) }));
        let smf = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let gtpu = SocketAddr::from((Ipv4Addr::LOCALHOST, gtpu_port));
        Self { n4, gtpu, metrics, tables, smf, sequence_number: 0, stop, daemon }
    }

    async fn ask(&mut self, kind: MsgType, seid: Option<u64>, ies: &[rs_pfcp::ie::Ie]) -> Response {
        self.sequence_number += 1;
        self.smf.send_to(&message(kind, seid, self.sequence_number, ies), self.n4).await.unwrap();
        let mut buffer = [0; 2000];
        let received = timeout(Duration::from_secs(10), self.smf.recv_from(&mut buffer)).await.expect("in time");
        Response::parse(&buffer[..received.unwrap().0])
    }

    async fn fetch(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut response)).await.expect("in time").unwrap();
        response
    }

    async fn associate(&mut self) {
        let response = self.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]).await;
        assert_eq!(response.cause(), CauseValue::RequestAccepted);
    }
}

/// The tunnel is at the daemon's N3 address here.
fn local_session() -> Vec<rs_pfcp::ie::Ie> {
    session(Ipv4Addr::new(10, 45, 0, 2))
}

#[tokio::test]
async fn a_session_lives_and_is_seen_in_the_metrics() {
    let mut running = Running::start().await;
    running.associate().await;
    let response = running.ask(MsgType::SessionEstablishmentRequest, Some(0), &local_session()).await;
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert_eq!(running.tables.writes.lock().unwrap().len(), 2);
    let metrics = running.fetch("/metrics").await;
    assert!(metrics.contains("\ncoeur_upf_sessions 1\n"), "{metrics}");
    let line = "coeur_upf_pfcp_requests_total{message=\"session_establishment_request\",outcome=\"accepted\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("coeur_upf_interface_path_info{interface=\"n3\",path=\"memory\"} 1"), "{metrics}");
    assert!(running.fetch("/healthz").await.contains("\"status\":\"ok\""));
    let response = running.ask(MsgType::SessionDeletionRequest, Some(response.up_seid()), &[]).await;
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert!(running.fetch("/metrics").await.contains("\ncoeur_upf_sessions 0\n"));
}

#[tokio::test]
async fn a_table_that_fails_is_a_refusal() {
    let mut running = Running::start().await;
    running.associate().await;
    *running.tables.failing.lock().unwrap() = true;
    let response = running.ask(MsgType::SessionEstablishmentRequest, Some(0), &local_session()).await;
    assert_eq!(response.cause(), CauseValue::NoResourcesAvailable);
    let metrics = running.fetch("/metrics").await;
    assert!(metrics.contains("coeur_upf_pfcp_refusals_total{cause=\"75\"} 1"), "{metrics}");
}

#[tokio::test]
async fn the_slow_path_answers_echo_and_indicates_errors() {
    let running = Running::start().await;
    let gnb = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    gnb.send_to(&gtpu::echo_request(0x1234), running.gtpu).await.unwrap();
    let mut buffer = [0; 2000];
    let (length, from) = timeout(Duration::from_secs(10), gnb.recv_from(&mut buffer)).await.expect("in time").unwrap();
    assert_eq!((&buffer[..length], from), (&gtpu::echo_response(0x1234)[..], running.gtpu));
    assert_eq!(Message::parse(&buffer[..length]).unwrap().kind, kind::ECHO_RESPONSE);
    // A G-PDU without a session: the answer goes to port 2152, which nobody has here; the metric says so.
    gnb.send_to(&[0x30, 255, 0, 0, 0, 0, 0, 9], running.gtpu).await.unwrap();
    let line = "coeur_upf_slowpath_datagrams_total{outcome=\"error_indication_sent\"} 1";
    timeout(Duration::from_secs(10), async {
        while !running.fetch("/metrics").await.contains(line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn a_stopped_daemon_leaves_the_tables_as_they_are() {
    let mut running = Running::start().await;
    running.associate().await;
    running.ask(MsgType::SessionEstablishmentRequest, Some(0), &local_session()).await;
    let before = running.tables.writes.lock().unwrap().clone();
    running.stop.send(()).unwrap();
    let tables = timeout(Duration::from_secs(10), running.daemon).await.expect("in time").unwrap().unwrap();
    assert_eq!(*tables.writes.lock().unwrap(), before);
}

#[tokio::test]
async fn garbage_on_both_sockets_changes_nothing() {
    let mut running = Running::start().await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut octets = seed.to_be_bytes().repeat(1 + (seed % 9) as usize);
        octets[0] = 0x20 | (seed as u8 & 0x07);
        running.smf.send_to(&octets, running.n4).await.unwrap();
        octets[0] = 0x30 | (seed as u8 & 0x07);
        running.smf.send_to(&octets, running.gtpu).await.unwrap();
    }
    // Answers to some of it come first.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    running.smf = stranger;
    running.associate().await;
    assert!(running.fetch("/metrics").await.contains("coeur_upf_sessions 0"));
}

/// The rule of the whole exposition: what `promtool check metrics` asks for, as far as a test without it can.
#[tokio::test]
async fn every_metric_has_help_a_type_and_a_proper_name() {
    let running = Running::start().await;
    let response = running.fetch("/metrics").await;
    let body = response.split_once("\r\n\r\n").unwrap().1;
    let mut families = 0;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            families += 1;
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(body.contains(&format!("# HELP {name} ")), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(name.starts_with("coeur_upf_"), "{name}");
        }
    }
    assert!(families >= 15, "{families}");
}

/// Debian package prometheus; the tests of the whole project install it.
#[tokio::test]
async fn promtool_finds_nothing_to_say() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut running = Running::start().await;
    running.associate().await;
    let response = running.fetch("/metrics").await;
    let body = response.split_once("\r\n\r\n").unwrap().1;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else { return eprintln!("promtool is not installed: not checked") };
    promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
