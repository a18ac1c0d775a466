//! What the user plane asks: heartbeats, its own association setup, update and release, reports (TS 29.244, 7.4, 7.5.8).

use super::answer::{ACCEPTED, NO_ASSOCIATION, NO_SESSION};
use super::wire::{Message, encode, node_id};
use super::{Association, N4, N4Event, Request, SETUP_PAUSE_REFUSED, features};
use coeur_nf::services::nsmf::SmfOutput;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Mandatory IE missing, Request rejected, Service not supported (table 8.2.1-1).
const REJECTED: u8 = 64;
const MANDATORY_IE_MISSING: u8 = 66;
const NOT_SUPPORTED: u8 = 76;

/// PFCP Association Release Request IE: the user plane asks for the association to be released (8.2.77).
const SARR: u8 = 0x01;

/// A Session Report Request (7.5.8), to be answered with [`N4::answer_report`].
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) cp_seid: u64,
    /// Report Type (8.2.21).
    pub(crate) kinds: u8,
    peer: SocketAddr,
    sequence: u32,
    request: Vec<u8>,
}

/// Bits of Report Type.
pub(crate) const DLDR: u8 = 0x01;
pub(crate) const USAR: u8 = 0x02;
pub(crate) const ERIR: u8 = 0x04;
pub(crate) const UPIR: u8 = 0x08;

impl N4 {
    pub(super) fn incoming(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        message: &Message<'_>,
        octets: &[u8],
        events: &mut Vec<N4Event>,
        out: &mut Vec<SmfOutput>,
    ) {
        let is_upf = peer.ip() == self.upf.ip();
        if message.kind == MsgType::HeartbeatRequest {
            // 6.2.2.1: answered at any time, to anybody.
            let answer = encode(MsgType::HeartbeatResponse, None, message.sequence, &[self.recovery_ie()]);
            out.push(SmfOutput::Pfcp { peer, octets: answer });
            if is_upf {
                self.heard(now, message, events);
            }
            return;
        }
        if let Some(answer) = self.memory.recall(message.sequence, octets).filter(|_| is_upf) {
            self.figures.repeated += 1;
            out.push(SmfOutput::Pfcp { peer, octets: answer.to_vec() });
            return;
        }
        if message.is_session_related() {
            return self.session_request(peer, message, octets, is_upf, events, out);
        }
        let Some(kind) = response_kind(message.kind) else {
            // 7.6.4, 7.6.5: unknown messages, and those that nobody sends to a control plane, are discarded.
            return self.figures.discard("7.6.4 unknown or unexpected message");
        };
        let mut ies = vec![node_id(self.node)];
        match self.node_request(now, message, is_upf, events, out) {
            Ok(()) => ies.push(cause(ACCEPTED)),
            Err((code, offending)) => {
                ies.push(cause(code));
                ies.extend(offending.map(|ie| Ie::new(IeType::OffendingIe, (ie as u16).to_be_bytes().to_vec())));
            }
        }
        if kind == MsgType::AssociationSetupResponse {
            ies.push(self.recovery_ie());
        }
        let answer = encode(kind, None, message.sequence, &ies);
        if is_upf {
            self.memory.keep(message.sequence, octets, &answer);
        }
        out.push(SmfOutput::Pfcp { peer, octets: answer });
    }

    fn node_request(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        is_upf: bool,
        events: &mut Vec<N4Event>,
        out: &mut Vec<SmfOutput>,
    ) -> Result<(), (u8, Option<IeType>)> {
        let missing = |ie| Err((MANDATORY_IE_MISSING, Some(ie)));
        match message.kind {
            // A core has one user plane, the configured one.
            MsgType::AssociationSetupRequest if !is_upf => Err((REJECTED, None)),
            MsgType::AssociationSetupRequest => {
                if message.ie(IeType::NodeId).is_none() {
                    return missing(IeType::NodeId);
                }
                let Some(recovery) = message.ie(IeType::RecoveryTimeStamp).and_then(<[u8]>::first_chunk) else {
                    return missing(IeType::RecoveryTimeStamp);
                };
                let recovery = u32::from_be_bytes(*recovery);
                // 6.2.6.3: whatever association there was, this is a new one.
                self.go_down(now, Duration::ZERO, events);
                self.go_up(now, recovery, features(message), false, events);
                Ok(())
            }
            _ if !is_upf || self.association == Association::Down => Err((NO_ASSOCIATION, None)),
            _ if message.ie(IeType::NodeId).is_none() => missing(IeType::NodeId),
            MsgType::AssociationUpdateRequest => {
                self.update(now, message, out);
                Ok(())
            }
            MsgType::AssociationReleaseRequest => {
                self.go_down(now, SETUP_PAUSE_REFUSED, events);
                Ok(())
            }
            MsgType::NodeReportRequest => {
                self.figures.report("node");
                Ok(())
            }
            // PFDs, and sessions by FQ-CSID, are features that this SMF does not announce.
            _ => Err((NOT_SUPPORTED, None)),
        }
    }

    /// 6.2.7.3: new features of the user plane, or its wish to end, which the control plane then carries out (6.2.8).
    fn update(&mut self, now: Instant, message: &Message<'_>, out: &mut Vec<SmfOutput>) {
        if message.ie(IeType::UpFunctionFeatures).is_some()
            && let Association::Up { features: announced, .. } = &mut self.association
        {
            *announced = features(message);
        }
        let wish = message.ie(IeType::PfcpAssociationReleaseRequest).and_then(<[u8]>::first);
        if wish.is_some_and(|flags| flags & SARR != 0) {
            let ies = [node_id(self.node)];
            let build = |sequence| encode(MsgType::AssociationReleaseRequest, None, sequence, &ies);
            self.request(now, Request::Release, build, out);
        }
    }

    fn session_request(
        &mut self,
        peer: SocketAddr,
        message: &Message<'_>,
        octets: &[u8],
        is_upf: bool,
        events: &mut Vec<N4Event>,
        out: &mut Vec<SmfOutput>,
    ) {
        let (MsgType::SessionReportRequest, Some(cp_seid)) = (message.kind, message.seid) else {
            // Sessions are established towards a user plane, never by one.
            return self.figures.discard("7.6.4 unknown or unexpected message");
        };
        let refuse = |code| encode(MsgType::SessionReportResponse, Some(0), message.sequence, &[cause(code)]);
        if !is_upf || self.association == Association::Down {
            out.push(SmfOutput::Pfcp { peer, octets: refuse(NO_ASSOCIATION) });
            return;
        }
        let Some(&kinds) = message.ie(IeType::ReportType).and_then(<[u8]>::first) else {
            let offending = Ie::new(IeType::OffendingIe, (IeType::ReportType as u16).to_be_bytes().to_vec());
            let ies = [cause(MANDATORY_IE_MISSING), offending];
            let octets = encode(MsgType::SessionReportResponse, Some(0), message.sequence, &ies);
            out.push(SmfOutput::Pfcp { peer, octets });
            return;
        };
        for (bit, kind) in [(DLDR, "downlink_data"), (USAR, "usage"), (ERIR, "error_indication"), (UPIR, "inactivity")]
        {
            if kinds & bit != 0 {
                self.figures.report(kind);
            }
        }
        let (sequence, request) = (message.sequence, octets.to_vec());
        events.push(N4Event::Reported(Report { cp_seid, kinds, peer, sequence, request }));
    }

    /// `up_seid`: the user plane's number of the session, none if there is no such session: it then learns that
    /// nobody here knows what it holds.
    pub(crate) fn answer_report(&mut self, report: &Report, up_seid: Option<u64>, out: &mut Vec<SmfOutput>) {
        let code = if up_seid.is_some() { ACCEPTED } else { NO_SESSION };
        let kind = MsgType::SessionReportResponse;
        let answer = encode(kind, Some(up_seid.unwrap_or(0)), report.sequence, &[cause(code)]);
        self.memory.keep(report.sequence, &report.request, &answer);
        out.push(SmfOutput::Pfcp { peer: report.peer, octets: answer });
    }
}

impl super::Figures {
    fn report(&mut self, kind: &'static str) {
        *self.reports.entry(kind).or_default() += 1;
    }
}

fn cause(code: u8) -> Ie {
    Ie::new(IeType::Cause, vec![code])
}

/// The response to a node related request that a control plane may get.
fn response_kind(request: MsgType) -> Option<MsgType> {
    Some(match request {
        MsgType::PfdManagementRequest => MsgType::PfdManagementResponse,
        MsgType::AssociationSetupRequest => MsgType::AssociationSetupResponse,
        MsgType::AssociationUpdateRequest => MsgType::AssociationUpdateResponse,
        MsgType::AssociationReleaseRequest => MsgType::AssociationReleaseResponse,
        MsgType::NodeReportRequest => MsgType::NodeReportResponse,
        MsgType::SessionSetDeletionRequest => MsgType::SessionSetDeletionResponse,
        MsgType::SessionSetModificationRequest => MsgType::SessionSetModificationResponse,
        _ => return None,
    })
}
