//! What both implementations of SCTP have to do, run with each that this machine has.
//!
//! Where the kernel has SCTP these are tests of the kernel's; elsewhere, with CAP_NET_RAW, of usrsctp. Without either they
//! fail: there is nothing that a core could run on. Each test has an address of its own on loopback.

use coeur_transport::sctp::{
    DownReason, Endpoint, Implementation, PPID_NGAP, SctpChoice, SctpError, SctpEvent, SctpSettings, SendError,
    kernel_has_sctp,
};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// An address of 127/8 that no other test and no other run has.
fn address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let pid = std::process::id();
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    (Ipv4Addr::new(127, 16 + (pid % 200) as u8, (pid / 200 % 250) as u8, host as u8), 38412).into()
}

fn choice() -> SctpChoice {
    if kernel_has_sctp() { SctpChoice::Kernel } else { SctpChoice::Usrsctp }
}

fn quick() -> SctpSettings {
    SctpSettings {
        heartbeat_ms: 1_000,
        rto_initial_ms: 200,
        rto_min_ms: 50,
        rto_max_ms: 400,
        association_retransmissions_max: 3,
        path_retransmissions_max: 3,
        init_attempts_max: 3,
        init_timeout_max_ms: 400,
        ..SctpSettings::default()
    }
}

/// An endpoint and what it was told.
struct Side {
    endpoint: Endpoint,
    events: Vec<SctpEvent>,
}

impl Side {
    fn new(settings: SctpSettings) -> Self {
        let endpoint = Endpoint::new(choice(), settings).expect("an SCTP implementation");
        Self { endpoint, events: Vec::new() }
    }

    fn ups(&self) -> Vec<u64> {
        let up = |event: &SctpEvent| match *event {
            SctpEvent::Up { association, .. } => Some(association),
            _ => None,
        };
        self.events.iter().filter_map(up).collect()
    }

    fn messages(&self) -> Vec<(u64, u16, &[u8])> {
        let message = |event| match event {
            &SctpEvent::Message { association, stream, ref octets, .. } => Some((association, stream, &octets[..])),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }

    fn down(&self, association: u64) -> Option<DownReason> {
        self.events.iter().find_map(|event| match *event {
            SctpEvent::Down { association: it, reason } if it == association => Some(reason),
            _ => None,
        })
    }
}

/// Drives both sides until `done`.
async fn until(a: &mut Side, b: &mut Side, what: &str, mut done: impl FnMut(&mut Side, &mut Side) -> bool) {
    let wait = async {
        while !done(a, b) {
            tokio::select! {
                () = a.endpoint.next_events(&mut a.events) => {}
                () = b.endpoint.next_events(&mut b.events) => {}
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, wait).await;
    assert!(outcome.is_ok(), "{what}: {:?} / {:?}", summary(a), summary(b));
}

fn summary(side: &Side) -> Vec<String> {
    let short = |event: &SctpEvent| match event {
        SctpEvent::Message { association, stream, octets, .. } => {
            format!("message({association}, {stream}, {} octets)", octets.len())
        }
        other => format!("{other:?}"),
    };
    side.events.iter().rev().take(20).map(short).chain([format!("{:?}", side.endpoint.counters())]).collect()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// A server, a client, and the association on both sides.
async fn pair(settings: SctpSettings) -> (Side, Side, u64, u64) {
    let mut server = Side::new(settings.clone());
    let at = server.endpoint.listen(address()).expect("a listener");
    let mut client = Side::new(settings);
    let from = SocketAddr::new(at.ip(), 0);
    let ours = client.endpoint.connect(Some(from), at).expect("an association");
    until(&mut server, &mut client, "association", |server, client| {
        !server.ups().is_empty() && !client.ups().is_empty()
    })
    .await;
    assert_eq!(client.ups(), [ours]);
    let theirs = server.ups()[0];
    (server, client, theirs, ours)
}

#[test]
fn an_association_comes_up_on_both_sides_with_its_streams() {
    run(async {
        let (server, client, theirs, ours) = pair(quick()).await;
        assert_ne!(theirs, ours);
        for (side, _) in [(&server, theirs), (&client, ours)] {
            let SctpEvent::Up { outbound_streams, inbound_streams, peer, .. } = side.events[0] else { panic!() };
            assert_eq!((outbound_streams, inbound_streams), (16, 16));
            assert!(peer.ip().is_loopback() && peer.port() != 0);
        }
        assert_eq!(server.endpoint.implementation(), client.endpoint.implementation());
    });
}

#[test]
fn messages_keep_their_boundaries_their_stream_and_their_order() {
    run(async {
        let (mut server, mut client, theirs, ours) = pair(quick()).await;
        let mut sent = Vec::new();
        for number in 0..500_u16 {
            let stream = number % 16;
            let octets: Vec<u8> = (0..=number % 300).map(|i| (i + number) as u8).collect();
            client.endpoint.send(ours, stream, &octets).unwrap();
            sent.push((theirs, stream, octets));
        }
        until(&mut server, &mut client, "messages", |server, _| server.messages().len() == sent.len()).await;
        for stream in 0..16 {
            let of_stream = |it: &&(u64, u16, Vec<u8>)| it.1 == stream;
            let wanted: Vec<&[u8]> = sent.iter().filter(of_stream).map(|it| &it.2[..]).collect();
            let got: Vec<&[u8]> = server.messages().iter().filter(|it| it.1 == stream).map(|it| it.2).collect();
            assert_eq!(wanted, got, "stream {stream}");
        }
        assert!(server.messages().iter().all(|it| it.0 == theirs));
    });
}

#[test]
fn long_messages_pass_in_both_directions() {
    run(async {
        let (mut server, mut client, theirs, ours) = pair(quick()).await;
        let longest = quick().message_octets_max;
        for length in [1, 1_300, 4_096, 4_097, 20_000, 65_000, longest] {
            let octets: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
            client.endpoint.send(ours, 1, &octets).unwrap();
            server.endpoint.send(theirs, 2, &octets).unwrap();
            until(&mut server, &mut client, "long message", |server, client| {
                server.messages().len() == 1 && client.messages().len() == 1
            })
            .await;
            assert!(server.messages() == [(theirs, 1, &octets[..])], "{length}");
            assert!(client.messages() == [(ours, 2, &octets[..])], "{length}");
            server.events.clear();
            client.events.clear();
        }
    });
}

#[test]
fn the_payload_protocol_identifier_is_carried() {
    run(async {
        let (mut server, mut client, _, ours) = pair(quick()).await;
        client.endpoint.send(ours, 0, b"ngap").unwrap();
        client.endpoint.send_as(ours, 0, 0x0102_0304, b"other").unwrap();
        until(&mut server, &mut client, "messages", |server, _| server.messages().len() == 2).await;
        let ppids: Vec<u32> = server
            .events
            .iter()
            .filter_map(|event| if let SctpEvent::Message { ppid, .. } = event { Some(*ppid) } else { None })
            .collect();
        assert_eq!(ppids, [PPID_NGAP, 0x0102_0304]);
    });
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    run(async {
        let (mut server, mut client, _, ours) = pair(quick()).await;
        let too_long = vec![0; quick().message_octets_max + 1];
        assert_eq!(client.endpoint.send(ours, 0, &too_long), Err(SendError::Length));
        assert_eq!(client.endpoint.send(ours, 0, &[]), Err(SendError::Length));
        assert_eq!(client.endpoint.send(ours, 16, b"x"), Err(SendError::Stream));
        assert_eq!(client.endpoint.send(u64::MAX, 0, b"x"), Err(SendError::NotUp));
        // The other side is not read: the queue fills, and says so.
        let octets = vec![7; 50_000];
        let taken = (0..1_000).take_while(|_| client.endpoint.send(ours, 0, &octets) == Ok(())).count();
        assert_eq!(client.endpoint.send(ours, 0, &octets), Err(SendError::QueueFull));
        assert!((5..500).contains(&taken), "{taken}");
        assert!(client.endpoint.counters().messages_refused >= 2);
        // It drains when the other side is read again, and nothing that was taken is lost.
        until(&mut server, &mut client, "drained", |server, _| server.messages().len() == taken).await;
        assert_eq!(client.endpoint.send(ours, 0, &octets), Ok(()));
    });
}

#[test]
fn closing_in_order_delivers_what_was_sent() {
    run(async {
        let (mut server, mut client, theirs, ours) = pair(quick()).await;
        for number in 0..100_u8 {
            client.endpoint.send(ours, 0, &[number; 1_000]).unwrap();
        }
        client.endpoint.close(ours);
        assert_eq!(client.endpoint.send(ours, 0, b"late"), Err(SendError::NotUp));
        until(&mut server, &mut client, "both down", |server, client| {
            server.down(theirs).is_some() && client.down(ours).is_some()
        })
        .await;
        assert_eq!(server.messages().len(), 100);
        assert_eq!((server.down(theirs), client.down(ours)), (Some(DownReason::Shutdown), Some(DownReason::Local)));
        assert_eq!((server.endpoint.associations(), client.endpoint.associations()), (0, 0));
    });
}

#[test]
fn an_abort_is_told_to_both_sides() {
    run(async {
        let (mut server, mut client, theirs, ours) = pair(quick()).await;
        client.endpoint.abort(ours);
        until(&mut server, &mut client, "both down", |server, client| {
            server.down(theirs).is_some() && client.down(ours).is_some()
        })
        .await;
        assert_eq!((server.down(theirs), client.down(ours)), (Some(DownReason::Aborted), Some(DownReason::Local)));
    });
}

#[test]
fn a_dropped_endpoint_aborts_and_another_association_can_come() {
    run(async {
        let mut server = Side::new(quick());
        let at = server.endpoint.listen(address()).unwrap();
        let from = SocketAddr::new(at.ip(), 45_678);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let mut client = Side::new(quick());
            client.endpoint.connect(Some(from), at).unwrap();
            until(&mut server, &mut client, "up", |server, client| server.ups().len() == 1 && client.ups().len() == 1)
                .await;
            let theirs = server.ups()[0];
            drop(client);
            let mut idle = Side::new(quick());
            until(&mut server, &mut idle, "down", |server, _| server.down(theirs).is_some()).await;
            assert_eq!(server.down(theirs), Some(DownReason::Aborted));
            server.events.clear();
            assert!(!seen.contains(&theirs), "association numbers are never used again");
            seen.push(theirs);
        }
    });
}

#[test]
fn nobody_there_is_refused_or_unreachable() {
    run(async {
        let mut client = Side::new(quick());
        let mut idle = Side::new(quick());
        let to = address();
        let ours = client.endpoint.connect(Some(SocketAddr::new(to.ip(), 0)), to).unwrap();
        until(&mut client, &mut idle, "down", |client, _| client.down(ours).is_some()).await;
        assert!(matches!(client.down(ours), Some(DownReason::Refused | DownReason::Unreachable)));
        assert!(client.ups().is_empty());
    });
}

#[test]
fn two_clients_do_not_disturb_each_other() {
    run(async {
        let (mut server, mut first, first_theirs, first_ours) = pair(quick()).await;
        let SctpEvent::Up { peer, .. } = server.events[0] else { panic!() };
        let at = SocketAddr::new(peer.ip(), 38412);
        let mut second = Side::new(quick());
        let second_ours = second.endpoint.connect(Some(SocketAddr::new(peer.ip(), 0)), at).unwrap();
        until(&mut server, &mut second, "second up", |server, second| {
            server.ups().len() == 2 && second.ups() == [second_ours]
        })
        .await;
        let second_theirs = server.ups()[1];
        first.endpoint.send(first_ours, 1, b"first").unwrap();
        second.endpoint.send(second_ours, 1, b"second").unwrap();
        until(&mut server, &mut first, "first's message", |server, first| {
            first.endpoint.flush();
            !server.messages().is_empty()
        })
        .await;
        until(&mut server, &mut second, "second's message", |server, _| server.messages().len() == 2).await;
        let mut got = server.messages();
        got.sort_unstable();
        assert_eq!(got, [(first_theirs, 1, &b"first"[..]), (second_theirs, 1, &b"second"[..])]);
        second.endpoint.abort(second_ours);
        until(&mut server, &mut second, "second down", |server, _| server.down(second_theirs).is_some()).await;
        assert_eq!(server.down(first_theirs), None);
        server.endpoint.send(first_theirs, 0, b"still there").unwrap();
        until(&mut server, &mut first, "answer", |_, first| first.messages().len() == 1).await;
    });
}

#[test]
fn one_endpoint_connects_and_listens_and_holds_many_associations() {
    run(async {
        let mut server = Side::new(quick());
        let at = server.endpoint.listen(address()).unwrap();
        let other = server.endpoint.listen(address()).unwrap();
        assert_ne!(at.ip(), other.ip());
        let mut client = Side::new(quick());
        let mut ours = Vec::new();
        for number in 0..40 {
            let to = if number % 2 == 0 { at } else { other };
            ours.push(client.endpoint.connect(Some(SocketAddr::new(to.ip(), 0)), to).unwrap());
        }
        until(&mut server, &mut client, "all up", |server, client| {
            server.ups().len() == ours.len() && client.ups().len() == ours.len()
        })
        .await;
        for &association in &ours {
            client.endpoint.send(association, 3, &association.to_be_bytes()).unwrap();
        }
        until(&mut server, &mut client, "all messages", |server, _| server.messages().len() == ours.len()).await;
        let mut of: Vec<u64> = server.messages().iter().map(|it| it.0).collect();
        of.sort_unstable();
        of.dedup();
        assert_eq!(of.len(), ours.len());
        client.endpoint.shutdown(PATIENCE).await;
        let mut idle = Side::new(quick());
        until(&mut server, &mut idle, "all down", |server, _| server.endpoint.associations() == 0).await;
    });
}

#[test]
fn a_peer_that_sends_too_long_a_message_is_aborted() {
    run(async {
        let settings = SctpSettings { message_octets_max: 2_000, ..quick() };
        let mut server = Side::new(settings);
        let at = server.endpoint.listen(address()).unwrap();
        let mut client = Side::new(quick());
        let ours = client.endpoint.connect(Some(SocketAddr::new(at.ip(), 0)), at).unwrap();
        until(&mut server, &mut client, "up", |server, client| !server.ups().is_empty() && !client.ups().is_empty())
            .await;
        let theirs = server.ups()[0];
        client.endpoint.send(ours, 0, &[1; 2_000]).unwrap();
        client.endpoint.send(ours, 0, &[2; 2_001]).unwrap();
        client.endpoint.send(ours, 0, &[3; 10]).unwrap();
        until(&mut server, &mut client, "down", |server, client| {
            server.down(theirs).is_some() && client.down(ours).is_some()
        })
        .await;
        assert_eq!(server.messages(), [(theirs, 0, &[1; 2_000][..])]);
        assert_eq!(server.down(theirs), Some(DownReason::MessageTooLong));
        assert_eq!(client.down(ours), Some(DownReason::Aborted));
        assert_eq!(server.endpoint.counters().messages_oversize, 1);
    });
}

#[test]
fn associations_beyond_the_limit_are_aborted() {
    run(async {
        let mut server = Side::new(SctpSettings { associations_max: 2, ..quick() });
        let at = server.endpoint.listen(address()).unwrap();
        let mut client = Side::new(quick());
        let from = SocketAddr::new(at.ip(), 0);
        let ours: Vec<u64> = (0..3).map(|_| client.endpoint.connect(Some(from), at).unwrap()).collect();
        until(&mut server, &mut client, "one down", |_, client| ours.iter().any(|&it| client.down(it).is_some())).await;
        assert_eq!(server.ups().len(), 2);
        assert_eq!(server.endpoint.counters().associations_refused, 1);
        assert_eq!(server.endpoint.associations(), 2);
    });
}

#[test]
fn an_address_is_had_once_and_has_to_be_local() {
    run(async {
        let mut first = Side::new(quick());
        let at = first.endpoint.listen(address()).unwrap();
        let mut second = Side::new(quick());
        assert!(matches!(second.endpoint.listen(at), Err(SctpError::AddressInUse { address }) if address == at));
        let foreign = SocketAddr::from(([192, 0, 2, 1], 38412));
        assert!(matches!(second.endpoint.listen(foreign), Err(SctpError::AddressNotLocal { .. })));
        drop(first);
        second.endpoint.listen(at).unwrap();
    });
}

#[test]
fn a_peer_that_falls_silent_is_given_up() {
    run(async {
        let mut server = Side::new(quick());
        // In the kernel there is no silence without another host that is gone: `nobody_there` is what can be had of it.
        if server.endpoint.implementation() == Implementation::Kernel {
            return;
        }
        let at = server.endpoint.listen(address()).unwrap();
        // One that waits longer than the server does: time passes for both, they are in one process.
        let patient =
            SctpSettings { heartbeat_ms: 60_000, association_retransmissions_max: 50, ..SctpSettings::default() };
        let mut client = Side::new(patient);
        client.endpoint.connect(Some(SocketAddr::new(at.ip(), 0)), at).unwrap();
        until(&mut server, &mut client, "up", |server, client| !server.ups().is_empty() && !client.ups().is_empty())
            .await;
        let theirs = server.ups()[0];
        // Nobody drives the client any more: it answers no heartbeat.
        let mut idle = Side::new(quick());
        until(&mut server, &mut idle, "down", |server, _| server.down(theirs).is_some()).await;
        assert_eq!(server.down(theirs), Some(DownReason::Unreachable));
        drop(client);
    });
}
