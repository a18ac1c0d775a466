//! `coeur-ran` itself, on real SCTP and real GTP-U, in a network namespace of its own, against the scripted core.
//!
//! Needs root: without the right to make a namespace the tests say so and pass.

use crate::core::Core;
use crate::network::{IMSI, K_HEX, OPC_HEX};
use anyhow::Context as _;
use coeur_ran::gtpu::{self, Container, Packet};
use coeur_transport::sctp::{self, Endpoint, SctpChoice, SctpEvent};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

const AMF: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const GNB: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
const UPF: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 3);
const LIMIT: Duration = Duration::from_secs(60);

/// Moves this thread, and what it starts, into a network namespace with nothing but a loopback interface.
fn enter_namespace() -> bool {
    // SAFETY: `unshare` takes flags only, and affects this thread only.
    let own = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
    let up = own && Command::new("ip").args(["link", "set", "lo", "up"]).status().is_ok_and(|status| status.success());
    if !up {
        eprintln!("skipped: no right to make a network namespace, or no iproute2");
    }
    up
}

struct Run {
    status: ExitStatus,
    events: Vec<Value>,
}

impl Run {
    fn named(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == name).collect()
    }

    fn summary(&self) -> &Value {
        self.named("summary").first().copied().unwrap_or_else(|| panic!("no summary: {:#?}", self.events))
    }
}

/// Runs `coeur-ran` against the scripted core; `see` gets each event and may answer with a line for its stdin.
fn run(arguments: &[&str], see: impl FnMut(&Value) -> Option<String>) -> Option<Run> {
    if !enter_namespace() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = runtime.block_on(async { tokio::time::timeout(LIMIT, drive(arguments, see)).await });
    Some(run.expect("in time").unwrap())
}

async fn drive(arguments: &[&str], mut see: impl FnMut(&Value) -> Option<String>) -> anyhow::Result<Run> {
    let address = SocketAddr::from((AMF, sctp::PORT_NGAP));
    let mut endpoint = sctp::listen(SctpChoice::Auto, address)?;
    let upf = tokio::net::UdpSocket::bind((UPF, gtpu::PORT)).await?;
    let mut core = Core::new();
    core.upf = UPF;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_coeur-ran"))
        .args(["run", "--amf", &address.to_string(), "--gnb-n2", &GNB.to_string(), "--gnb-n3", &GNB.to_string()])
        .args(["--plmn", "00101", "--supi", IMSI, "--k", K_HEX, "--opc", OPC_HEX, "--json", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let (mut events, mut seen, mut packet) = (Vec::new(), Vec::new(), vec![0; 65_536]);
    loop {
        tokio::select! {
            () = endpoint.next_events(&mut events) => {
                for event in events.drain(..) {
                    answer(&mut core, &mut endpoint, event);
                }
                endpoint.flush();
            }
            received = upf.recv(&mut packet) => echo(&core, &upf, &packet[..received?]).await,
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
                if let Some(command) = see(&event) {
                    stdin.write_all(format!("{command}\n").as_bytes()).await?;
                }
                seen.push(event);
            }
        }
    }
    // SHUTDOWN is answered before the child ends.
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = endpoint.next_events(&mut events) => events.clear(),
        }
    };
    Ok(Run { status, events: seen })
}

fn answer(core: &mut Core, endpoint: &mut Endpoint, event: SctpEvent) {
    if let SctpEvent::Message { association, stream, octets, .. } = event {
        for answer in core.receive(&octets).unwrap_or_default() {
            endpoint.send(association, stream, &answer).unwrap();
        }
    }
}

/// A user plane with an echoing sink behind it: addresses and ports swapped, which leaves checksums right.
async fn echo(core: &Core, upf: &tokio::net::UdpSocket, octets: &[u8]) {
    let packet = Packet::decode(octets).unwrap();
    assert_eq!(packet.container, Some(Container::Uplink { qfi: 1 }));
    let mut payload = packet.payload.to_vec();
    payload[12..20].rotate_left(4);
    payload[20..24].rotate_left(2);
    let Some((to, teid)) = core.back(packet.teid) else { return };
    let mut buffer = Vec::new();
    assert!(gtpu::encode_g_pdu(&mut buffer, teid, Some(Container::Downlink { qfi: 1, reflective: false }), &payload));
    upf.send_to(&buffer, (to, gtpu::PORT)).await.unwrap();
}

#[test]
fn a_hundred_phones_of_three_gnbs_attach_and_leave() {
    let arguments = ["--count", "100", "--gnbs", "3", "--cycle", "1", "--deregister"];
    let Some(run) = run(&arguments, |_| None) else { return };
    assert!(run.status.success(), "{:#}", run.summary());
    let summary = run.summary();
    assert_eq!((&summary["ues"], &summary["failed"]), (&100.into(), &0.into()));
    assert_eq!(summary["violations"], serde_json::json!({}));
    for step in ["registration_ms", "session_ms", "attach_ms", "service_ms", "deregistration_ms"] {
        assert_eq!(summary[step]["n"], 100, "{step}: {summary:#}");
    }
    let counts = ["ng-setup", "registered", "session", "service", "deregistered"].map(|name| run.named(name).len());
    assert_eq!(counts, [3, 100, 100, 100, 100]);
}

#[test]
fn injected_packets_come_back() {
    let arguments = ["--count", "4", "--inject", "10.9.9.9:7", "--inject-pps", "2000", "--inject-seconds", "1"];
    let Some(run) = run(&arguments, |_| None) else { return };
    assert!(run.status.success(), "{:#}", run.summary());
    let [inject] = run.named("inject")[..] else { panic!("{:#?}", run.events) };
    // A slow machine may lose some; none would be a fault.
    assert!(inject["received"].as_u64() > Some(0) && inject["foreign"] == 0, "{inject}");
}

#[test]
fn an_interface_carries_packets_and_wakes_its_phone() {
    let mut socket = None;
    let mut answered = 0;
    let run = run(&["--count", "1", "--tun", "--hold"], |event| match event["event"].as_str()? {
        "attached" => Some(format!("idle {IMSI}")),
        "session" => {
            let (device, address) = (event["tun"].as_str()?.to_owned(), event["address"].as_str()?.to_owned());
            socket = Some(bind(&device, &address));
            None
        }
        // Something to send, and no connection: the phone asks for one. The packet that asked is lost.
        "answer" if answered == 0 => {
            answered = 1;
            socket.as_ref()?.send_to(b"wake", "10.9.9.9:7").unwrap();
            None
        }
        "service" => {
            socket.as_ref()?.send_to(b"hello", "10.9.9.9:7").unwrap();
            Some("status".into())
        }
        "status" => {
            let mut octets = [0; 16];
            let received = socket.as_ref()?.recv(&mut octets);
            match received {
                Ok(length) => {
                    assert_eq!(&octets[..length], b"hello");
                    Some("quit".into())
                }
                // Not yet.
                Err(_) => Some("status".into()),
            }
        }
        _ => None,
    });
    let Some(run) = run else { return };
    assert!(run.status.success(), "{:#}", run.summary());
    assert_eq!(run.named("idle").len(), 1);
    assert_eq!(run.named("failed").len(), 0);
}

fn bind(device: &str, address: &str) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind((address, 0)).unwrap();
    // SAFETY: the descriptor is open; pointer and length are those of the name, which lives across the call.
    let bound = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            device.len() as libc::socklen_t,
        )
    };
    assert_eq!(bound, 0, "{device}");
    socket.set_nonblocking(true).unwrap();
    socket
}

#[test]
fn commands_are_answered() {
    let script = [
        format!("idle {IMSI}"),
        format!("service {IMSI}"),
        format!("establish {IMSI} 2"),
        "establish all 99".into(),
        "jump".into(),
        format!("deregister {IMSI}"),
        "quit".into(),
    ];
    let mut script = script.into_iter();
    let run = run(&["--count", "1", "--hold"], |event| match event["event"].as_str()? {
        "attached" | "answer" => script.next(),
        _ => None,
    });
    let Some(run) = run else { return };
    let answers: Vec<_> = run.named("answer").iter().map(|answer| answer["ok"] == true).collect();
    assert_eq!(answers, [true, true, true, false, false, true], "{:#?}", run.events);
}

#[test]
fn nobody_listening_is_an_error_in_time() {
    if !enter_namespace() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_coeur-ran"))
        .args(["run", "--amf", "127.0.1.9:38412", "--gnb-n2", "127.0.1.2", "--gnb-n3", "127.0.1.2", "--plmn", "00101"])
        .args(["--supi", IMSI, "--k", K_HEX, "--opc", OPC_HEX, "--timeout-s", "2", "--json", "-"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let summary: Value =
        serde_json::from_slice(output.stdout.split(|octet| *octet == b'\n').rev().nth(1).unwrap()).unwrap();
    assert_eq!(summary["aborted"], "no NG setup in time");
}
