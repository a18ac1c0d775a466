//! Long random walks: whatever the order of procedures and whichever write fails, the tables are those of the sessions.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod rig;
mod smf;

use std::net::Ipv4Addr;

use coeur_session::Limits;
use rig::Rig;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use smf::*;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// A change of one session: an answer comes to each, whatever it is.
fn modification(random: &mut Random) -> Vec<Ie> {
    let idle = group(IeType::UpdateFar, vec![number(IeType::FarId, 2), Ie::new(IeType::ApplyAction, vec![1])]);
    let second = create_pdr(7, uplink_pdi(choose()), 1, vec![outer_header_removal()]);
    let remove = group(IeType::RemovePdr, vec![pdr_id(7)]);
    let dangling = group(IeType::RemoveFar, vec![number(IeType::FarId, 1)]);
    let moved = group(
        IeType::UpdatePdr,
        vec![pdr_id(2), group(IeType::Pdi, downlink_pdi(Ipv4Addr::new(10, 45, 9, random.below(4) as u8)))],
    );
    let choices = [activate(2, 1 + random.below(9) as u32), idle, second, remove, dangling, moved];
    vec![choices[random.below(choices.len())].clone()]
}

#[test]
fn the_tables_are_those_of_the_sessions_at_any_time() {
    for seed in 1..=20u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rig = Rig::with(Limits { sessions_max: 8, ..Limits::default() });
        rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
        let mut seids: Vec<u64> = Vec::new();
        for _ in 0..300 {
            rig.fails_after = (random.below(4) == 0).then(|| random.below(3));
            match random.below(10) {
                0..4 => {
                    let ue = Ipv4Addr::new(10, 45, random.below(2) as u8, random.below(8) as u8);
                    let response = rig.establish(&session(ue));
                    if response.cause() == CauseValue::RequestAccepted {
                        seids.push(response.up_seid());
                    }
                }
                4..8 if !seids.is_empty() => {
                    let seid = seids[random.below(seids.len())];
                    rig.ask(MsgType::SessionModificationRequest, Some(seid), &modification(&mut random));
                }
                8 if !seids.is_empty() => {
                    let position = random.below(seids.len());
                    let response = rig.ask(MsgType::SessionDeletionRequest, Some(seids[position]), &[]);
                    if response.cause() == CauseValue::RequestAccepted {
                        seids.swap_remove(position);
                    } else {
                        assert_eq!(response.cause(), CauseValue::NoResourcesAvailable, "a write failed");
                    }
                }
                // A session that is not there.
                _ => {
                    let response = rig.ask(MsgType::SessionDeletionRequest, Some(random.0), &[]);
                    assert_eq!(response.cause(), CauseValue::SessionContextNotFound);
                }
            }
            assert_eq!(rig.up.sessions(), seids.len());
            assert_eq!(rig.downlink.len(), seids.len(), "one downlink record a session");
            assert!((seids.len()..=2 * seids.len()).contains(&rig.uplink.len()), "one or two uplink records a session");
            // Each record is its session's alone: the tunnels of all records are tunnels.
            assert!(rig.uplink.values().all(|record| rig.up.is_tunnel(record.teid.host())));
        }
        rig.fails_after = None;
        rig.ask(MsgType::AssociationReleaseRequest, None, &[node_id()]);
        assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
        // All tunnels and seats came back.
        rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(2)]);
        for last in 0..8 {
            let response = rig.establish(&session(Ipv4Addr::new(10, 45, 0, last)));
            assert_eq!(response.cause(), CauseValue::RequestAccepted);
        }
    }
}
