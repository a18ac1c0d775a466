//! N2: one SCTP association for each gNB, on one endpoint.

use coeur_ran::GnbKey;
use coeur_transport::sctp::{DownReason, Endpoint, PPID_NGAP, SctpEvent, SctpSettings, SendError};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A gNB whose association ended tries again after this (TS 38.412 leaves it to the gNB).
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// NGAP messages of one gNB that wait while SCTP's own queue is full; beyond, they are lost and counted.
const BACKLOG_MAX: usize = 65_536;

pub(super) struct N2 {
    endpoint: Endpoint,
    local: SocketAddr,
    remote: SocketAddr,
    links: Vec<Link>,
    by_association: HashMap<u64, GnbKey>,
    pub(super) messages_lost: u64,
}

#[derive(Default)]
struct Link {
    association: Option<u64>,
    connect_at: Option<Instant>,
    backlog: VecDeque<(u16, Vec<u8>)>,
}

/// What a gNB is to be told.
pub(super) enum Event {
    Up { gnb: GnbKey, streams: u16 },
    Ngap { gnb: GnbKey, octets: Vec<u8> },
    Down { gnb: GnbKey, reason: DownReason },
}

impl N2 {
    pub(super) fn new(endpoint: Endpoint, local: SocketAddr, remote: SocketAddr, gnbs: usize, now: Instant) -> Self {
        let link = || Link { connect_at: Some(now), ..Link::default() };
        let links = std::iter::repeat_with(link).take(gnbs).collect();
        Self { endpoint, local, remote, links, by_association: HashMap::new(), messages_lost: 0 }
    }

    pub(super) fn settings(gnbs: u16) -> SctpSettings {
        SctpSettings { associations_max: usize::from(gnbs) + 1, ..SctpSettings::default() }
    }

    pub(super) fn implementation(&self) -> &'static str {
        self.endpoint.implementation().name()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.connect_at).min()
    }

    /// Starts the associations that are due.
    pub(super) fn connect_due(&mut self, now: Instant) {
        for (gnb, link) in self.links.iter_mut().enumerate() {
            if link.connect_at.is_none_or(|at| at > now) {
                continue;
            }
            link.connect_at = None;
            match self.endpoint.connect(Some(self.local), self.remote) {
                Ok(association) => {
                    link.association = Some(association);
                    self.by_association.insert(association, gnb);
                }
                Err(error) => {
                    tracing::warn!(gnb, %error, "no association");
                    link.connect_at = Some(now + RECONNECT_AFTER);
                }
            }
        }
    }

    /// Waits until SCTP has something to say. Safe to cancel.
    pub(super) async fn next_events(&mut self, events: &mut Vec<SctpEvent>) {
        self.endpoint.next_events(events).await;
    }

    pub(super) fn take(&mut self, now: Instant, event: SctpEvent) -> Option<Event> {
        match event {
            SctpEvent::Up { association, outbound_streams, .. } => {
                let gnb = *self.by_association.get(&association)?;
                Some(Event::Up { gnb, streams: outbound_streams })
            }
            SctpEvent::Message { association, ppid, octets, .. } => {
                let gnb = *self.by_association.get(&association)?;
                if ppid != PPID_NGAP {
                    tracing::warn!(gnb, ppid, "not NGAP (TS 38.412, 7)");
                    return None;
                }
                Some(Event::Ngap { gnb, octets })
            }
            SctpEvent::Down { association, reason } => {
                let gnb = self.by_association.remove(&association)?;
                let link = self.links.get_mut(gnb)?;
                *link = Link { connect_at: Some(now + RECONNECT_AFTER), ..Link::default() };
                Some(Event::Down { gnb, reason })
            }
        }
    }

    pub(super) fn send(&mut self, gnb: GnbKey, stream: u16, octets: Vec<u8>) {
        let Some(link) = self.links.get_mut(gnb) else { return };
        if link.association.is_none() || link.backlog.len() >= BACKLOG_MAX {
            self.messages_lost += 1;
            return;
        }
        link.backlog.push_back((stream, octets));
    }

    /// Puts out what waits, as far as SCTP takes it.
    pub(super) fn flush(&mut self) {
        for link in &mut self.links {
            let Some(association) = link.association else { continue };
            while let Some((stream, octets)) = link.backlog.front() {
                match self.endpoint.send(association, *stream, octets) {
                    Ok(()) => {}
                    Err(SendError::QueueFull) => break,
                    Err(error) => {
                        tracing::warn!(%error, stream, octets = octets.len(), "NGAP message not sent");
                        self.messages_lost += 1;
                    }
                }
                link.backlog.pop_front();
            }
        }
        self.endpoint.flush();
    }

    pub(super) async fn shutdown(self) {
        self.endpoint.shutdown(Duration::from_secs(1)).await;
    }
}
