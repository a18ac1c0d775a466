//! PFCP associations (TS 29.244 6.2.6 to 6.2.8).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::cp_pfcp_entity_ip_address::CpPfcpEntityIpAddress;
use rs_pfcp::ie::up_function_features::UPFunctionFeatures;

use crate::NodeId;
use crate::event::Event;
use crate::seats::State;
use crate::transaction::AfterPurge;
use crate::up_function::{Progress, Request, UpFunction};
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};

/// PFCPASRsp-Flags: the sessions asked for are retained (TS 29.244 8.2.126).
const PSREI: u8 = 0x01;

/// A control plane that may have sessions here.
#[derive(Clone, Debug)]
pub(crate) struct Association {
    /// Ours alone, and never used again.
    pub(crate) number: u32,
    pub(crate) node: NodeId,
    /// Where heartbeats go.
    pub(crate) peer: SocketAddr,
    pub(crate) recovery_time_stamp: u32,
    pub(crate) heartbeat_due: Instant,
    /// The last heartbeat had no answer.
    pub(crate) silent: bool,
    /// It restarted: when its sessions end, unless it sets up the association before.
    pub(crate) gone_at: Option<Instant>,
}

impl UpFunction {
    /// TS 29.244 6.2.6.2.
    pub(crate) fn set_up_association(
        &mut self,
        now: Instant,
        request: Request,
        body: &[u8],
    ) -> Result<Progress, Refusal> {
        let elements = Elements::new(body);
        let node = node_id(&elements)?;
        let stamp = elements.first(IeType::RecoveryTimeStamp)?.ok_or(Refusal::missing(IeType::RecoveryTimeStamp))?;
        let recovery_time_stamp = stamp.u32()?;
        let known = self.associations.iter().position(|association| association.node == node);
        if known.is_none() && self.associations.len() >= self.config.limits.associations_max {
            return Err(Refusal::new(CauseValue::NoResourcesAvailable));
        }
        let retention = elements.first(IeType::PfcpSessionRetentionInformation)?.map(retained_addresses).transpose()?;
        let mut association = Association {
            number: self.associations_made + 1,
            node: node.clone(),
            peer: SocketAddr::new(request.key.from.ip(), self.config.peer_port),
            recovery_time_stamp,
            heartbeat_due: now + self.config.timers.heartbeat(),
            silent: false,
            gone_at: None,
        };
        let Some(known) = known else {
            self.associations_made += 1;
            self.associations.push(association);
            self.event(Event::AssociationEstablished { node });
            return Ok(Progress::Answer(self.setup_response(request, false)));
        };
        association.number = self.associations[known].number;
        let sessions = self.seats.of_association(association.number);
        if self.seats.any_busy(&sessions) {
            return Ok(Progress::Busy);
        }
        // TS 29.244 6.2.6.2.2: sessions end, but for those that it asks to retain.
        let retained = |seat: &u32| {
            let session = self.seats.session(*seat);
            session.zip(retention.as_ref()).is_some_and(|(session, addresses)| {
                session.state == State::Settled && (addresses.is_empty() || addresses.contains(&session.cp_address))
            })
        };
        let (kept, ended): (Vec<u32>, Vec<u32>) = sessions.into_iter().partition(retained);
        self.associations[known] = association;
        self.memory.forget_peer(request.key.from.ip(), request.key);
        self.event(Event::AssociationRenewed { node, retained: kept.len(), ended: ended.len() });
        let response = self.setup_response(request, retention.is_some());
        self.purge(ended, AfterPurge { request, response }.into());
        Ok(Progress::Pending)
    }

    fn setup_response(&self, request: Request, retained: bool) -> Vec<u8> {
        let mut response = self.response(request);
        response.ie(IeType::NodeId, &self.config.node_id.encode());
        response.ie(IeType::Cause, &[CauseValue::RequestAccepted as u8]);
        response.ie(IeType::RecoveryTimeStamp, &self.recovery_time_stamp());
        // Exactly what works: F-TEIDs are chosen here (5.5), end markers are sent (5.2.3), packets are measured (5.2.2.2).
        let features = UPFunctionFeatures::FTUP | UPFunctionFeatures::EMPU | UPFunctionFeatures::MNOP;
        response.ie(IeType::UpFunctionFeatures, features.octets());
        if retained {
            response.ie(IeType::PfcpasRspFlags, &[PSREI]);
        }
        response.finish()
    }

    /// TS 29.244 6.2.7.2: the features of a control plane change nothing here.
    pub(crate) fn update_association(&mut self, request: Request, body: &[u8]) -> Result<Progress, Refusal> {
        let node = node_id(&Elements::new(body))?;
        self.association_of(&node)?;
        Ok(Progress::Answer(self.plain_response(request)))
    }

    /// TS 29.244 6.2.8.2: its sessions go with it, and only then the answer.
    pub(crate) fn release_association(&mut self, request: Request, body: &[u8]) -> Result<Progress, Refusal> {
        let node = node_id(&Elements::new(body))?;
        let number = self.association_of(&node)?;
        if self.seats.any_busy(&self.seats.of_association(number)) {
            return Ok(Progress::Busy);
        }
        let sessions = self.drop_association(number);
        self.event(Event::AssociationReleased { node, sessions: sessions.len() });
        let response = self.plain_response(request);
        self.purge(sessions, AfterPurge { request, response }.into());
        Ok(Progress::Pending)
    }

    /// Node ID and cause.
    fn plain_response(&self, request: Request) -> Vec<u8> {
        let mut response = self.response(request);
        response.ie(IeType::NodeId, &self.config.node_id.encode());
        response.ie(IeType::Cause, &[CauseValue::RequestAccepted as u8]);
        response.finish()
    }

    /// The number of a peer's association.
    pub(crate) fn association_of(&self, node: &NodeId) -> Result<u32, Refusal> {
        // One that restarted has to set up its association first.
        let mut associations = self.associations.iter();
        let association = associations.find(|association| association.node == *node && association.gone_at.is_none());
        association.map(|association| association.number).ok_or(Refusal::new(CauseValue::NoEstablishedPfcpAssociation))
    }

    /// Forgets an association, and tells which sessions it leaves behind.
    pub(crate) fn drop_association(&mut self, number: u32) -> Vec<u32> {
        self.associations.retain(|association| association.number != number);
        self.seats.of_association(number)
    }
}

/// The addresses in a PFCP Session Retention Information (TS 29.244 table 7.4.4.1-2); none of them: all sessions.
fn retained_addresses(group: Element<'_>) -> Result<Vec<IpAddr>, Refusal> {
    let mut addresses = Vec::new();
    for element in Elements::of(group) {
        let element = element?;
        if element.kind == IeType::CpPfcpEntityIpAddress {
            let address = element.decode(CpPfcpEntityIpAddress::unmarshal)?;
            addresses.extend(address.ipv4.map(IpAddr::V4));
            addresses.extend(address.ipv6.map(IpAddr::V6));
        }
    }
    Ok(addresses)
}

pub(crate) fn node_id(elements: &Elements<'_>) -> Result<NodeId, Refusal> {
    let element = elements.first(IeType::NodeId)?.ok_or(Refusal::missing(IeType::NodeId))?;
    NodeId::decode(element.value).ok_or(Refusal::incorrect(IeType::NodeId))
}
