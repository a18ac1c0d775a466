//! A UP function with tables in memory, and a clock that tests move.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // helpers of tests are tests; not every test needs all

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use coeur_ebpf_abi::{DownlinkRecord, UplinkRecord};
use coeur_rules::{DownlinkSlot, MapWrite, Pools, RemoteTunnel, UplinkSlot};
use coeur_session::{ApplyFailure, Config, Event, Input, Limits, Output, Slot, Timers, UpFunction, Usage};
use rs_pfcp::ie::Ie;
use rs_pfcp::message::MsgType;

use crate::smf::{self, Response, message};

pub(crate) struct Rig {
    pub(crate) up: UpFunction,
    pub(crate) now: Instant,
    pub(crate) uplink: BTreeMap<UplinkSlot, UplinkRecord>,
    pub(crate) downlink: BTreeMap<DownlinkSlot, DownlinkRecord>,
    pub(crate) usage: HashMap<Slot, Usage>,
    pub(crate) events: Vec<Event>,
    pub(crate) end_markers: Vec<RemoteTunnel>,
    /// How many writes succeed before one fails.
    pub(crate) writes_left: Option<usize>,
    /// After how many writes a single one fails.
    pub(crate) fails_after: Option<usize>,
    pub(crate) writes_made: usize,
    sequence_number: u32,
}

pub(crate) fn smf_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(smf::SMF), 8805)
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Limits { sessions_max: 100, ..Limits::default() })
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let config = Config {
            node_id: "upf.example".parse().unwrap(),
            n4_address: "127.0.0.8".parse().unwrap(),
            peer_port: 8805,
            n3_address: smf::N3,
            pools: Pools::new(vec!["10.45.0.0/16".parse().unwrap()]).unwrap(),
            started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            seed: 0x0102_0304,
            limits,
            timers: Timers::default(),
        };
        let now = Instant::now();
        Self {
            up: UpFunction::new(config, now),
            now,
            uplink: BTreeMap::new(),
            downlink: BTreeMap::new(),
            usage: HashMap::new(),
            events: Vec::new(),
            end_markers: Vec::new(),
            writes_left: None,
            fails_after: None,
            writes_made: 0,
            sequence_number: 0,
        }
    }

    /// With the association of the test's SMF.
    pub(crate) fn associated() -> Self {
        let mut rig = Self::new();
        let response = rig.ask(MsgType::AssociationSetupRequest, None, &[smf::node_id(), smf::recovery(1000)]);
        assert_eq!(response.cause() as u8, 1);
        rig
    }

    pub(crate) fn sequence_number(&mut self) -> u32 {
        self.sequence_number += 1;
        self.sequence_number
    }

    /// Sends a request and reads its one response.
    pub(crate) fn ask(&mut self, kind: MsgType, seid: Option<u64>, ies: &[Ie]) -> Response {
        let number = self.sequence_number();
        let response = Response::parse(&self.exchange(&message(kind, seid, number, ies)).expect("a response"));
        assert_eq!(response.header.sequence_number.0, number);
        assert_eq!(response.header.message_type as u8, kind as u8 + 1);
        response
    }

    pub(crate) fn establish(&mut self, ies: &[Ie]) -> Response {
        self.ask(MsgType::SessionEstablishmentRequest, Some(0), ies)
    }

    /// One datagram in, at most one out; the tables are written on the way.
    pub(crate) fn exchange(&mut self, octets: &[u8]) -> Option<Vec<u8>> {
        let outputs = self.up.handle(self.now, Input::Datagram { from: smf_address(), octets });
        let mut sent = self.perform(outputs);
        assert!(sent.len() <= 1, "{sent:02x?}");
        sent.pop().map(|(to, octets)| {
            assert_eq!(to, smf_address());
            octets
        })
    }

    pub(crate) fn advance(&mut self, by: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
        self.now += by;
        let outputs = self.up.handle_timeout(self.now);
        self.perform(outputs)
    }

    pub(crate) fn perform(&mut self, outputs: Vec<Output>) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        for output in outputs {
            match output {
                Output::Send { to, octets } => sent.push((to, octets)),
                Output::Event(event) => self.events.push(event),
                Output::EndMarker(tunnel) => self.end_markers.push(tunnel),
                Output::Apply { transaction, measure, writes } => {
                    let usage = measure.iter().map(|slot| self.usage.get(slot).copied().unwrap_or_default()).collect();
                    let result = writes.into_iter().try_for_each(|write| self.write(write)).map(|()| usage);
                    let more = self.up.handle(self.now, Input::Applied { transaction, result });
                    sent.extend(self.perform(more));
                }
            }
        }
        sent
    }

    fn write(&mut self, write: MapWrite) -> Result<(), ApplyFailure> {
        if let Some(left) = &mut self.writes_left {
            *left = left.checked_sub(1).ok_or(ApplyFailure("no memory".to_owned()))?;
        }
        match self.fails_after.take() {
            Some(0) => return Err(ApplyFailure("no memory, this once".to_owned())),
            later => self.fails_after = later.map(|writes| writes - 1),
        }
        self.writes_made += 1;
        match write {
            MapWrite::Uplink { index, record } => {
                put(&mut self.uplink, UplinkSlot::Index(index), Some(record).filter(|record| !record.is_empty()));
            }
            MapWrite::UplinkByTeid { teid, record } => put(&mut self.uplink, UplinkSlot::Teid(teid), record),
            MapWrite::Downlink { index, record } => {
                put(&mut self.downlink, DownlinkSlot::Index(index), Some(record).filter(|record| !record.is_empty()));
            }
            MapWrite::DownlinkByAddress { address, record } => {
                put(&mut self.downlink, DownlinkSlot::Address(address), record);
            }
        }
        Ok(())
    }
}

fn put<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(table.insert(key, value)),
        None => drop(table.remove(&key)),
    }
}
