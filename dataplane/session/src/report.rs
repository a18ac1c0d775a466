//! Session reports (TS 29.244 7.5.8): a peer's tunnel end point is gone.

use std::net::SocketAddr;
use std::time::Instant;

use coeur_rules::RemoteTunnel;
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::message::MsgType;

use crate::request::About;
use crate::up_function::UpFunction;
use crate::wire::writer::Writer;

/// Report Type, bit 3: error indication report (TS 29.244 8.2.21).
const ERIR: u8 = 0x04;

impl UpFunction {
    /// TS 23.527 5.3.3.1: the control plane decides what becomes of the session. An unknown tunnel is nobody's report.
    pub(crate) fn handle_lost_tunnel(&mut self, now: Instant, remote: RemoteTunnel) {
        let session = self.seats.of_remote(remote).and_then(|seat| self.seats.session_mut(seat));
        // One report a tunnel: the peer indicates an error for each packet that it gets.
        let Some(session) = session.filter(|session| session.reported != Some(remote)) else { return };
        session.reported = Some(remote);
        let (seid, cp_seid) = (session.up_seid, session.cp_seid);
        let to = SocketAddr::new(session.cp_address, self.config.peer_port);
        let sent = self.request(now, to, About::SessionReport { seid }, |number| {
            let mut request = Writer::session(MsgType::SessionReportRequest, cp_seid, number);
            request.ie(IeType::ReportType, &[ERIR]);
            request.group(IeType::ErrorIndicationReport, |report| {
                let fteid = Fteid::new(true, false, remote.teid, Some(remote.address), None, 0);
                report.ie(IeType::Fteid, &fteid.marshal());
            });
            request.finish()
        });
        if !sent {
            self.figures.reports_suppressed += 1;
            self.report_unanswered(seid);
        }
    }

    /// The next error indication is reported again.
    pub(crate) fn report_unanswered(&mut self, seid: u64) {
        let session = self.seats.find(seid).and_then(|seat| self.seats.session_mut(seat));
        if let Some(session) = session {
            session.reported = None;
        }
    }
}
