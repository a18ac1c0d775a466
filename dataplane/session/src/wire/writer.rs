//! PFCP messages, written once into one buffer.

use coeur_rules::RuleId;
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::failed_rule_id::FailedRuleId;
use rs_pfcp::message::MsgType;
use rs_pfcp::message::header::Header;

use super::Refusal;

/// A message in the making.
pub(crate) struct Writer {
    octets: Vec<u8>,
}

/// Octets that nearly every response fits in.
const USUAL_LENGTH: usize = 160;

impl Writer {
    /// A message about the node.
    pub(crate) fn node(kind: MsgType, sequence_number: u32) -> Self {
        Self::with(&Header::new(kind, false, 0, sequence_number))
    }

    /// A message about a session, to the end point that the peer calls `seid`; 0 if that is not known (TS 29.244 7.2.2.4.2).
    pub(crate) fn session(kind: MsgType, seid: u64, sequence_number: u32) -> Self {
        Self::with(&Header::new(kind, true, seid, sequence_number))
    }

    fn with(header: &Header) -> Self {
        let mut octets = Vec::with_capacity(USUAL_LENGTH);
        header.marshal_into(&mut octets);
        Self { octets }
    }

    pub(crate) fn ie(&mut self, kind: IeType, value: &[u8]) {
        self.octets.extend((kind as u16).to_be_bytes());
        // Values written here are short; groups check theirs.
        self.octets.extend((value.len() as u16).to_be_bytes());
        self.octets.extend(value);
    }

    pub(crate) fn group(&mut self, kind: IeType, fill: impl FnOnce(&mut Self)) {
        self.ie(kind, &[]);
        let start = self.octets.len();
        fill(self);
        let length =
            u16::try_from(self.octets.len() - start).expect("a group of a response: limits keep it far below 65536");
        self.octets[start - 2..start].copy_from_slice(&length.to_be_bytes());
    }

    /// Cause, and what a refusal names besides.
    pub(crate) fn refusal(&mut self, refusal: &Refusal) {
        self.ie(IeType::Cause, &[refusal.cause as u8]);
        if let Some(ie) = refusal.offending_ie {
            self.ie(IeType::OffendingIe, &ie.to_be_bytes());
        }
    }

    pub(crate) fn failed_rule(&mut self, rule: RuleId) {
        let id = match rule {
            RuleId::Pdr(id) => FailedRuleId::pdr(id),
            RuleId::Far(id) => FailedRuleId::far(id),
            RuleId::Qer(id) => FailedRuleId::qer(id),
            RuleId::Urr(id) => FailedRuleId::urr(id),
        };
        self.ie(IeType::FailedRuleId, &id.marshal());
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.octets.len() - 4).expect("limits of rules keep a message below 65536");
        self.octets[2..4].copy_from_slice(&length.to_be_bytes());
        self.octets
    }
}
