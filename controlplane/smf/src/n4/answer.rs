//! What the user plane answers to session requests (TS 29.244, 7.5.3, 7.5.5, 7.5.7).

use super::rules::PDR_UPLINK;
use super::wire::{Ies, Message};
use crate::session::Tunnel;
use coeur_model::Teid;
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::ie::fseid::Fseid;
use rs_pfcp::message::MsgType;

/// Request accepted (table 8.2.1-1).
pub(crate) const ACCEPTED: u8 = 1;
/// Session context not found.
pub(crate) const NO_SESSION: u8 = 65;
/// No resources available.
pub(crate) const NO_RESOURCES: u8 = 75;
/// No established PFCP association.
pub(crate) const NO_ASSOCIATION: u8 = 72;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Established(Established),
    Modified,
    Deleted,
}

/// The user plane's end of a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Established {
    pub(crate) up_seid: u64,
    /// Where the gNB sends uplink packets; none if the user plane gave no usable F-TEID.
    pub(crate) uplink: Option<Tunnel>,
}

/// Why a session request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum N4Failure {
    /// There is no association, or it went down before the answer.
    Down,
    /// Sent N1 times, never answered.
    NoAnswer,
    /// Refused with this cause.
    Refused(u8),
    /// Accepted without what an acceptance has to have (7.6.6).
    Malformed,
    /// [`super::REQUEST_MAX`] requests wait.
    Congestion,
}

pub(super) fn is_answer_to(response: MsgType, request: MsgType) -> bool {
    response as u8 == request as u8 + 1
}

pub(super) fn read(message: &Message<'_>) -> Result<Answer, N4Failure> {
    match message.ie(IeType::Cause) {
        Some([ACCEPTED, ..]) => {}
        Some([cause, ..]) => return Err(N4Failure::Refused(*cause)),
        _ => return Err(N4Failure::Malformed),
    }
    match message.kind {
        MsgType::SessionEstablishmentResponse => {
            let fseid = message.ie(IeType::Fseid).and_then(|value| Fseid::unmarshal(value).ok());
            let fseid = fseid.ok_or(N4Failure::Malformed)?;
            Ok(Answer::Established(Established { up_seid: fseid.seid.0, uplink: uplink(message) }))
        }
        MsgType::SessionModificationResponse => Ok(Answer::Modified),
        MsgType::SessionDeletionResponse => Ok(Answer::Deleted),
        _ => Err(N4Failure::Malformed),
    }
}

/// The local F-TEID of the uplink PDR among the Created PDRs (7.5.3.2).
fn uplink(message: &Message<'_>) -> Option<Tunnel> {
    let created = message.ies().filter(|(kind, _)| *kind == IeType::CreatedPdr as u16);
    let uplink = created.map(|(_, pdr)| pdr).find(|pdr| {
        Ies::grouped(pdr).any(|(kind, value)| kind == IeType::PdrId as u16 && value == PDR_UPLINK.to_be_bytes())
    })?;
    let (_, value) = Ies::grouped(uplink).find(|(kind, _)| *kind == IeType::Fteid as u16)?;
    let fteid = Fteid::unmarshal(value).ok().filter(|fteid| !fteid.ch)?;
    Some(Tunnel { teid: Teid(fteid.teid.0), address: fteid.ipv4_address? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::n4::wire::encode;
    use rs_pfcp::ie::Ie;

    const F_SEID: [u8; 13] = [0x02, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 127, 0, 0, 8];
    const F_TEID: [u8; 9] = [0x01, 0xAA, 0, 0, 0x01, 10, 0, 3, 1];

    fn created_pdr(id: u16, f_teid: &[u8]) -> Ie {
        let ies = vec![Ie::new(IeType::PdrId, id.to_be_bytes().to_vec()), Ie::new(IeType::Fteid, f_teid.to_vec())];
        Ie::new_grouped(IeType::CreatedPdr, ies)
    }

    fn establishment(ies: &[Ie]) -> Result<Answer, N4Failure> {
        let octets = encode(MsgType::SessionEstablishmentResponse, Some(1), 1, ies);
        read(&Message::read(&octets).unwrap())
    }

    #[test]
    fn an_established_session_has_seid_and_f_teid() {
        let accepted = Ie::new(IeType::Cause, vec![ACCEPTED]);
        let fseid = Ie::new(IeType::Fseid, F_SEID.to_vec());
        let other = created_pdr(7, &[0x01, 0, 0, 0, 9, 1, 1, 1, 1]);
        let answer = establishment(&[accepted.clone(), fseid.clone(), other, created_pdr(PDR_UPLINK, &F_TEID)]);
        let uplink = Some(Tunnel { teid: Teid(0xAA00_0001), address: [10, 0, 3, 1].into() });
        assert_eq!(answer, Ok(Answer::Established(Established { up_seid: 0x1234, uplink })));

        for no_tunnel in
            [created_pdr(2, &F_TEID), created_pdr(PDR_UPLINK, &[0x05]), created_pdr(PDR_UPLINK, &F_TEID[..4])]
        {
            let answer = establishment(&[accepted.clone(), fseid.clone(), no_tunnel]);
            assert_eq!(answer, Ok(Answer::Established(Established { up_seid: 0x1234, uplink: None })));
        }
        assert_eq!(establishment(&[accepted]), Err(N4Failure::Malformed));
        assert_eq!(establishment(&[fseid]), Err(N4Failure::Malformed));
        let refused = Ie::new(IeType::Cause, vec![75]);
        assert_eq!(establishment(&[refused]), Err(N4Failure::Refused(75)));
    }
}
