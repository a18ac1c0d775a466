//! gNB and UE together, against an AMF that says what a script would: N1 in N2, and the tunnels of N3.

use crate::amf::Amf;
use crate::network::{IMSI, config_of};
use coeur_ran::gnb::{self, ReleaseCause};
use coeur_ran::ue::{self, Event, RegistrationKind};
use coeur_ran::{Input, Output};

#[test]
fn from_ng_setup_to_a_tunnel_and_back() {
    let mut amf = Amf::new();
    amf.attach_one();
    assert_eq!(amf.violations(), []);
    let tunnel = amf.outputs.iter().find_map(|output| match output {
        Output::TunnelUp { tunnel, .. } => Some(tunnel.clone()),
        _ => None,
    });
    let tunnel = tunnel.expect("a tunnel");
    assert_eq!((tunnel.remote.octets(), tunnel.remote_teid, tunnel.qfi), ([10, 0, 3, 2], crate::core::UPLINK_TEID, 1));
    assert_eq!(tunnel.local, 1 << 24);
    assert_eq!(amf.ran.ue(0).unwrap().sessions().count(), 1);

    amf.outputs.clear();
    amf.ue(0, ue::Input::Deregister { switch_off: false });
    assert_eq!(amf.violations(), []);
    assert!(!amf.ran.ue(0).unwrap().is_connected());
    assert_eq!(amf.ran.gnb(0).unwrap().ues(), 0);
    assert!(amf.outputs.iter().any(|output| matches!(output, Output::TunnelDown { teid: 0x0100_0000, .. })));
}

#[test]
fn inactivity_paging_and_service() {
    let mut amf = Amf::new();
    amf.attach_one();
    amf.input(Input::Release { ue: 0, cause: ReleaseCause::UserInactivity });
    assert!(!amf.ran.ue(0).unwrap().is_connected());
    let tmsi = amf.ran.ue(0).unwrap().guti().unwrap().tmsi();
    amf.outputs.clear();
    amf.page(tmsi ^ 1);
    assert_eq!(amf.violations(), [coeur_ran::Violation::Paging]);
    amf.outputs.clear();
    amf.page(tmsi);
    assert_eq!(amf.violations(), []);
    let accepted = |output: &Output| matches!(output, Output::Ue { event: Event::ServiceAccepted { .. }, .. });
    assert!(amf.outputs.iter().any(accepted));
}

#[test]
fn an_association_that_is_lost_leaves_ues_idle_and_registered() {
    let mut amf = Amf::new();
    amf.attach_one();
    amf.outputs.clear();
    amf.input(Input::Gnb { gnb: 0, input: gnb::Input::Down });
    let ue = amf.ran.ue(0).unwrap();
    assert!(ue.is_registered() && !ue.is_connected());
    assert!(amf.outputs.iter().any(|output| matches!(output, Output::TunnelDown { .. })));
    // Before NG setup, nobody is served.
    amf.ran.add_ue(config_of(IMSI), 0);
    amf.outputs.clear();
    amf.ue(1, ue::Input::Register(RegistrationKind::Initial));
    let refused = |output: &Output| matches!(output, Output::Gnb { event: gnb::Event::Refused { ue: 1, .. }, .. });
    assert!(amf.outputs.iter().any(refused));
}
