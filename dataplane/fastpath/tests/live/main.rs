//! The fast path on real interfaces: veth pairs in a network namespace of their own, frames in at one end and out at the
//! other. Needs root; says so and passes otherwise.

#![allow(clippy::panic, reason = "a test fails by panicking, also in its helpers")]

mod host;

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use coeur_ebpf_abi::{
    Action, Be32, Direction, DownlinkRecord, DropReason, PassReason, Path, UplinkRecord, teid, teid_index,
};
use coeur_fastpath::{FastPath, PathChoice, PathKind, Settings, Usage};
use coeur_rules::MapWrite;
use host::{GATEWAY_MAC, GNB, GNB_MAC, N3, Port, UE, in_namespace, ip};

const TEID: u32 = teid(5, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 77);
const POOL: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 0);
const UE_INDEX: u32 = 7;

fn settings(path: PathChoice, pinned: bool) -> Settings {
    Settings {
        n3_interface: "n3".into(),
        n3_address: N3,
        n6_interface: "n6".into(),
        pools: vec![(POOL, 256)],
        uplink_slots: 64,
        path,
        pin_folder: pinned.then(|| "/sys/fs/bpf/coeur/test".into()),
    }
}

fn session() -> [MapWrite; 2] {
    let uplink = UplinkRecord {
        ue_address: Be32::from(UE),
        teid: Be32::new(TEID),
        action: Action::Forward as u8,
        ..UplinkRecord::EMPTY
    };
    let downlink = DownlinkRecord {
        gnb_address: Be32::from(GNB),
        gnb_teid: Be32::new(0x0000_0077),
        action: Action::Forward as u8,
        qfi: 1,
        ..DownlinkRecord::EMPTY
    };
    [
        MapWrite::Uplink { index: teid_index(TEID), record: uplink },
        MapWrite::Downlink { index: UE_INDEX, record: downlink },
    ]
}

/// Uplink and downlink through the interfaces, by the path that was asked for.
fn forwards(choice: PathChoice, kind: PathKind) {
    let mut fast = FastPath::start(&settings(choice, false)).expect("starts");
    let report = fast.report().clone();
    assert_eq!(report.interfaces.len(), 2);
    assert!(report.interfaces.iter().all(|interface| interface.path == kind), "{report:?}");
    assert_eq!(report.warnings, [""; 0]);
    fast.apply(&session()).expect("slots exist");

    let (gnb, network) = (Port::open("gnb"), Port::open("dn"));
    gnb.send(&host::uplink(TEID, UE, SERVER, 1));
    let frame = network.expect(|frame| host::is_udp_from(frame, UE));
    assert_eq!(frame[..6], GATEWAY_MAC);
    assert_eq!(frame[22], 63, "time to live");

    network.send(&host::downlink(SERVER, UE, 2));
    let frame = gnb.expect(|frame| host::is_udp_from(frame, N3));
    assert_eq!(frame[..6], GNB_MAC);
    assert_eq!(frame[46..50], 0x0000_0077u32.to_be_bytes());
    assert_eq!(frame.len(), 14 + 44 + 36);

    let counters = fast.counters().expect("readable");
    let path = if kind == PathKind::Tc { Path::Tc } else { Path::Xdp };
    assert_eq!(counters.taken(path, Direction::Uplink), 1);
    assert_eq!(counters.taken(path, Direction::Downlink), 1);
    assert_eq!(fast.uplink_usage(teid_index(TEID)), Some(Usage { packets: 1, bytes: 36 }));
    assert_eq!(fast.downlink_usage(UE_INDEX), Some(Usage { packets: 1, bytes: 36 }));

    gnb.send(&host::uplink(TEID, Ipv4Addr::new(10, 45, 0, 8), SERVER, 3));
    wait_until("the spoofed packet is counted", || {
        fast.counters().is_ok_and(|counters| counters.dropped(DropReason::UplinkSpoofed) == 1)
    });
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 2 s: {what}");
}

#[test]
fn native_xdp_is_chosen_on_veth_and_forwards() {
    in_namespace(|| forwards(PathChoice::Auto, PathKind::Xdp));
}

#[test]
fn tc_forwards_when_asked_for() {
    in_namespace(|| forwards(PathChoice::Tc, PathKind::Tc));
}

#[test]
fn generic_xdp_forwards_when_asked_for() {
    in_namespace(|| forwards(PathChoice::Generic, PathKind::Generic));
}

/// Neighbours and routes that come and go are followed, and what is not known goes to the kernel meanwhile.
#[test]
fn the_next_hops_follow_the_kernel() {
    in_namespace(|| {
        let mut fast = FastPath::start(&settings(PathChoice::Auto, false)).expect("starts");
        fast.apply(&session()).expect("slots exist");
        let (gnb, network) = (Port::open("gnb"), Port::open("dn"));
        let sent_to = |fast: &mut FastPath, destination, mark| {
            fast.poll().expect("the kernel answers");
            gnb.send(&host::uplink(TEID, UE, destination, mark));
            network.expect(|frame| host::is_udp_from(frame, UE) && host::mark(frame) == mark)[..6].to_vec()
        };
        ip("neigh add 203.0.113.77 lladdr 02:00:00:00:07:07 dev n6 nud permanent");
        assert_eq!(sent_to(&mut fast, NEIGHBOUR, 1), [2, 0, 0, 0, 7, 7]);
        ip("neigh replace 203.0.113.77 lladdr 02:00:00:00:07:08 dev n6 nud permanent");
        assert_eq!(sent_to(&mut fast, NEIGHBOUR, 2), [2, 0, 0, 0, 7, 8]);
        assert_eq!(sent_to(&mut fast, SERVER, 3), GATEWAY_MAC);
        ip("route add 198.51.0.0/16 via 203.0.113.77 dev n6");
        assert_eq!(sent_to(&mut fast, SERVER, 4), [2, 0, 0, 0, 7, 8]);
        ip("route del 198.51.0.0/16 via 203.0.113.77 dev n6");
        assert_eq!(sent_to(&mut fast, SERVER, 5), GATEWAY_MAC);

        ip("neigh del 203.0.113.1 dev n6");
        fast.poll().expect("the kernel answers");
        gnb.send(&host::uplink(TEID, UE, SERVER, 6));
        wait_until("the packet goes to the kernel", || {
            fast.counters().is_ok_and(|c| c.passed(PassReason::NextHopUnresolved, Direction::Uplink) == 1)
        });
        ip("neigh replace 203.0.113.1 lladdr 02:00:00:00:06:01 dev n6 nud permanent");
        assert_eq!(sent_to(&mut fast, SERVER, 7), GATEWAY_MAC);
    });
}

/// DESIGN 5: a restarted daemon adopts tables and links, and no packet is lost; here five times under traffic.
#[test]
fn a_restart_loses_no_packet_and_keeps_sessions_and_counters() {
    for choice in [PathChoice::Auto, PathChoice::Tc] {
        in_namespace(move || {
            let mut fast = FastPath::start(&settings(choice, true)).expect("starts");
            assert!(!fast.report().adopted);
            fast.apply(&session()).expect("slots exist");
            let gnb_id = fast.next_hop(GNB);
            let (gnb, network) = (Port::open("gnb"), Port::open("dn"));
            let stop = AtomicBool::new(false);
            let (sent, received, mut fast) = std::thread::scope(|scope| {
                let sender = scope.spawn(|| {
                    let mut sent = 0;
                    while !stop.load(Ordering::Relaxed) {
                        gnb.send(&host::uplink(TEID, UE, SERVER, sent));
                        sent += 1;
                        std::thread::sleep(Duration::from_micros(200));
                    }
                    sent
                });
                let receiver = scope.spawn(|| network.count_until_quiet(|frame| host::is_udp_from(frame, UE)));
                for _ in 0..5 {
                    drop(fast);
                    std::thread::sleep(Duration::from_millis(30));
                    fast = FastPath::start(&settings(choice, true)).expect("starts again");
                    assert!(fast.report().adopted, "{:?}", fast.report());
                }
                stop.store(true, Ordering::Relaxed);
                (sender.join().expect("sends"), receiver.join().expect("receives"), fast)
            });
            assert!(sent > 100, "there was traffic: {sent}");
            assert_eq!(sent, received);
            assert_eq!(fast.next_hop(GNB), gnb_id, "ids in adopted records keep their meaning");
            assert_eq!(fast.uplink_usage(teid_index(TEID)).map(|usage| usage.packets), Some(u64::from(sent)));

            // Another size: a new set is built beside the old one.
            drop(fast);
            let larger = Settings { uplink_slots: 128, ..settings(choice, true) };
            let fast = FastPath::start(&larger).expect("starts anew");
            assert!(!fast.report().adopted);
            assert_eq!(fast.uplink_usage(teid_index(TEID)), Some(Usage::default()));
            fast.remove().expect("nothing stays");
            assert!(!std::path::Path::new("/sys/fs/bpf/coeur/test").exists());
        });
    }
}

#[test]
fn limits_and_missing_interfaces_are_errors_that_say_what() {
    in_namespace(|| {
        let error = |settings: Settings| FastPath::start(&settings).err().map(|error| error.to_string());
        let good = || settings(PathChoice::Auto, false);
        let pools = Settings { pools: vec![(POOL, 1); 9], ..good() };
        assert_eq!(error(pools), Some("9 address pools are configured, 8 are possible".into()));
        let slots = Settings { uplink_slots: 1 << 25, ..good() };
        assert!(error(slots).is_some_and(|error| error.contains("16777216 are possible")));
        let interface = Settings { n6_interface: "n7".into(), ..good() };
        assert!(error(interface).is_some_and(|error| error.starts_with("interface n7: ")));
        let elsewhere = Settings { pin_folder: Some("/tmp/coeur-pins".into()), ..good() };
        assert!(error(elsewhere).is_some_and(|error| error.contains("/sys/fs/bpf")));
    });
}

/// Frames that are dropped because the far end of a veth cannot take them are a classic: it is said at start.
#[test]
fn a_veth_whose_far_end_is_abroad_is_warned_about() {
    in_namespace(|| {
        ip("netns add far");
        ip("link set gnb netns far");
        let fast = FastPath::start(&settings(PathChoice::Auto, false)).expect("starts");
        let warnings = &fast.report().warnings;
        assert!(
            warnings.iter().any(|warning| warning.starts_with("n3: ") && warning.contains("xdp-pass")),
            "{warnings:?}"
        );
        ip("netns del far");
    });
}
