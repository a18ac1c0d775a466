//! Rule sets as an SMF makes them: what they compile to, and which rule an error names.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{Action as RecordAction, Be32, FLAG_GATE_CLOSED, NEXT_HOP_N6_DEFAULT};
use coeur_rules::{
    Action, Change, DownlinkSlot, End, Far, FarUpdate, Forwarding, Gate, Interface, LocalTunnel, PDRS_PER_SESSION_MAX,
    Pdi, Pdr, PdrUpdate, Pools, Qer, QerUpdate, Reason, RemoteTunnel, RuleId, RuleSet, UeAddress, Unsupported,
    UplinkSlot, compile,
};

const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 7);
const GNB: RemoteTunnel = RemoteTunnel { address: Ipv4Addr::new(192, 0, 2, 9), teid: 0x55 };

fn uplink_pdr() -> Pdr {
    Pdr {
        id: 1,
        precedence: 100,
        pdi: Pdi {
            source_interface: Interface::Access,
            local_tunnel: Some(LocalTunnel::Chosen(0x0100_0003)),
            ue_address: None,
            qfi: None,
        },
        outer_header_removal: true,
        far: Some(1),
        qers: vec![1],
        urrs: vec![],
    }
}

fn downlink_pdr() -> Pdr {
    Pdr {
        id: 2,
        precedence: 100,
        pdi: Pdi {
            source_interface: Interface::Core,
            local_tunnel: None,
            ue_address: Some(UeAddress { address: UE, end: End::Destination }),
            qfi: None,
        },
        outer_header_removal: false,
        far: Some(2),
        qers: vec![1],
        urrs: vec![],
    }
}

fn far(id: u32, destination_interface: Interface, outer_header: Option<RemoteTunnel>) -> Far {
    Far { id, action: Action::Forward, forwarding: Some(Forwarding { destination_interface, outer_header }) }
}

fn session() -> RuleSet {
    let mut rules = RuleSet::default();
    rules
        .change([
            Change::CreatePdr(uplink_pdr()),
            Change::CreatePdr(downlink_pdr()),
            Change::CreateFar(far(1, Interface::Core, None)),
            Change::CreateFar(far(2, Interface::Access, Some(GNB))),
            Change::CreateQer(Qer {
                id: 1,
                uplink_gate: Gate::Open,
                downlink_gate: Gate::Open,
                qfi: Some(9),
                mbr: None,
            }),
        ])
        .unwrap();
    rules
}

fn pools() -> Pools {
    Pools::new(vec!["10.45.0.0/16".parse().unwrap()]).unwrap()
}

#[test]
fn a_session_becomes_one_record_a_direction() {
    let compiled = compile(&session(), &pools()).unwrap();
    let [up] = compiled.uplink[..] else { panic!("one uplink record") };
    assert_eq!((up.slot, up.pdr), (UplinkSlot::Index(3), 1));
    assert_eq!((up.record.teid, up.record.ue_address), (Be32::new(0x0100_0003), UE.into()));
    assert_eq!((up.record.action, up.record.flags, up.record.qfi), (RecordAction::Forward as u8, 0, 9));
    assert_eq!(up.record.next_hop, NEXT_HOP_N6_DEFAULT);
    let [down] = compiled.downlink[..] else { panic!("one downlink record") };
    assert_eq!((down.slot, down.ue_address), (DownlinkSlot::Index(7), UE));
    assert_eq!((down.record.gnb_address, down.record.gnb_teid), (GNB.address.into(), Be32::new(0x55)));
    assert_eq!((down.record.action, down.record.flags, down.record.qfi), (RecordAction::Forward as u8, 0, 9));
}

#[test]
fn tunnels_and_addresses_of_others_go_to_the_fallback_tables() {
    let mut rules = session();
    rules.pdrs[0].pdi.local_tunnel = Some(LocalTunnel::Given(0xabc));
    rules.pdrs[1].pdi.ue_address = Some(UeAddress { address: Ipv4Addr::new(172, 16, 0, 1), end: End::Destination });
    let compiled = compile(&rules, &pools()).unwrap();
    assert_eq!(compiled.uplink[0].slot, UplinkSlot::Teid(0xabc));
    assert_eq!(compiled.downlink[0].slot, DownlinkSlot::Address(Ipv4Addr::new(172, 16, 0, 1)));
}

#[test]
fn a_closed_gate_closes_its_direction_only() {
    let mut rules = session();
    let gates = Some((Gate::Closed, Gate::Open));
    rules.change([Change::UpdateQer(QerUpdate { id: 1, gates, ..QerUpdate::default() })]).unwrap();
    let compiled = compile(&rules, &pools()).unwrap();
    assert_eq!((compiled.uplink[0].record.flags, compiled.downlink[0].record.flags), (FLAG_GATE_CLOSED, 0));
}

#[test]
fn a_session_waits_for_its_gnb_with_drop() {
    let mut rules = session();
    rules.fars[1] = Far { id: 2, action: Action::Drop, forwarding: None };
    assert_eq!(compile(&rules, &pools()).unwrap().downlink[0].record.action, RecordAction::Drop as u8);
    let update = FarUpdate {
        id: 2,
        action: Some(Action::Forward),
        destination_interface: Some(Interface::Access),
        outer_header: Some(GNB),
    };
    rules.change([Change::UpdateFar(update)]).unwrap();
    assert_eq!(compile(&rules, &pools()), compile(&session(), &pools()));
    // Idle and back: the forwarding parameters were kept.
    rules.change([Change::UpdateFar(FarUpdate { id: 2, action: Some(Action::Drop), ..FarUpdate::default() })]).unwrap();
    rules
        .change([Change::UpdateFar(FarUpdate { id: 2, action: Some(Action::Forward), ..FarUpdate::default() })])
        .unwrap();
    assert_eq!(compile(&rules, &pools()), compile(&session(), &pools()));
}

#[test]
fn what_cannot_be_compiled_names_its_rule() {
    type Break = fn(&mut RuleSet);
    let cases: [(Break, RuleId, Reason); 14] = [
        (|r| r.pdrs[0].outer_header_removal = false, RuleId::Pdr(1), Reason::NoOuterHeaderRemoval),
        (|r| r.pdrs[1].outer_header_removal = true, RuleId::Pdr(2), Reason::NoTunnel),
        (|r| r.pdrs[0].pdi.local_tunnel = None, RuleId::Pdr(1), Reason::NothingToMatch),
        (|r| r.pdrs[1].pdi.local_tunnel = Some(LocalTunnel::Given(1)), RuleId::Pdr(2), Unsupported::CoreTunnel.into()),
        (|r| drop(r.pdrs.remove(1)), RuleId::Pdr(1), Reason::NoUeAddress),
        (|r| r.pdrs[1].pdi.ue_address.as_mut().unwrap().end = End::Source, RuleId::Pdr(2), Reason::WrongEnd),
        (
            |r| r.pdrs[0].pdi.ue_address = Some(UeAddress { address: Ipv4Addr::new(10, 45, 0, 8), end: End::Source }),
            RuleId::Pdr(2),
            Reason::UeAddressDiffers,
        ),
        (|r| r.pdrs[0].far = None, RuleId::Pdr(1), Reason::NoFar),
        (|r| r.fars[0].forwarding = None, RuleId::Far(1), Reason::NoForwarding),
        (|r| r.fars[0] = far(1, Interface::Core, Some(GNB)), RuleId::Far(1), Unsupported::CoreTunnel.into()),
        (|r| r.fars[0] = far(1, Interface::Access, Some(GNB)), RuleId::Far(1), Unsupported::AccessToAccess.into()),
        (|r| r.fars[1] = far(2, Interface::Core, None), RuleId::Far(2), Unsupported::CoreToCore.into()),
        (|r| r.fars[1] = far(2, Interface::Access, None), RuleId::Far(2), Reason::NoOuterHeader),
        (|r| r.pdrs.push(Pdr { id: 3, ..uplink_pdr() }), RuleId::Pdr(3), Unsupported::SeveralFlows.into()),
    ];
    for (breaks, rule, reason) in cases {
        let mut rules = session();
        breaks(&mut rules);
        assert_eq!(compile(&rules, &pools()), Err(rule.error(reason)), "{rule} {reason}");
    }
}

#[test]
fn references_to_nothing_name_the_rule_that_refers() {
    let dangling: [(Change, RuleId); 3] = [
        (Change::RemoveFar(2), RuleId::Far(2)),
        (Change::RemoveQer(1), RuleId::Qer(1)),
        (Change::UpdatePdr(PdrUpdate { id: 2, urrs: Some(vec![7]), ..PdrUpdate::default() }), RuleId::Urr(7)),
    ];
    for (change, missing) in dangling {
        let error = session().change([change]).unwrap_err();
        assert_eq!(error.reason, Reason::Dangling(missing));
        assert!(matches!(error.rule, RuleId::Pdr(_)));
    }
}

#[test]
fn a_rule_is_created_once_and_changed_only_if_it_is_there() {
    assert_eq!(session().change([Change::CreatePdr(uplink_pdr())]), Err(RuleId::Pdr(1).error(Reason::Exists)));
    assert_eq!(session().change([Change::RemoveUrr(4)]), Err(RuleId::Urr(4).error(Reason::Missing)));
    let update = FarUpdate { id: 9, ..FarUpdate::default() };
    assert_eq!(session().change([Change::UpdateFar(update)]), Err(RuleId::Far(9).error(Reason::Missing)));
    let many = (10..).take(PDRS_PER_SESSION_MAX).map(|id| Change::CreatePdr(Pdr { id, ..uplink_pdr() }));
    let error = session().change(many).unwrap_err();
    assert_eq!(error.reason, Reason::TooMany);
}

#[test]
fn flows_of_one_rule_agree_on_their_qfi() {
    let mut rules = session();
    rules.pdrs[1].qers.push(2);
    let qer = Qer { id: 2, uplink_gate: Gate::Open, downlink_gate: Gate::Open, qfi: Some(5), mbr: None };
    rules.change([Change::CreateQer(qer)]).unwrap();
    assert_eq!(compile(&rules, &pools()), Err(RuleId::Pdr(2).error(Reason::QfisDiffer)));
    // A session QER without QFI beside the flow's.
    rules.qers[1].qfi = None;
    assert!(compile(&rules, &pools()).is_ok());
}
