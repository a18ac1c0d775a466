//! Everything that there is, and the one queue of what will happen.

use crate::random::Random;
use crate::store::SimStore;
use coeur_ebpf_abi::{DownlinkRecord, UplinkRecord};
use coeur_mesh::{Input, Mesh, Output, Owner};
use coeur_model::config::CoreConfig;
use coeur_model::{Secret, Supi};
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfCommand, N2Action, N2Event};
use coeur_nf::store::StoreOp;
use coeur_nf::{AssociationId, CommandId, Env, StoreToken};
use coeur_ran::gnb::{self, Gnb, GnbConfig};
use coeur_ran::ue::{self, RegistrationKind, SessionRequest, Ue, UeConfig, UeProfile};
use coeur_ran::usim::OperatorKey;
use coeur_rules::MapWrite;
use coeur_session::UpFunction;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    pub gnbs: u32,
    pub ues: u32,
    pub faults: Faults,
}

/// What goes wrong by itself, in percent of cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub n4_lost: u8,
    pub n4_repeated: u8,
    /// Delays differ from datagram to datagram, so N4 reorders as soon as this is not zero.
    pub n4_delay: Duration,
    pub n2_delay: Duration,
    pub commit_delay: Duration,
}

/// What will happen at some time.
enum Future {
    N2Up { gnb: usize, association: AssociationId },
    ToAmf { association: AssociationId, stream: u16, octets: Vec<u8> },
    ToGnb { association: AssociationId, octets: Vec<u8> },
    N2Down { association: AssociationId },
    ToSmf { octets: Vec<u8> },
    ToUpf { octets: Vec<u8> },
    Commit { life: u32, owner: Owner, token: StoreToken, operation: StoreOp },
    CoreStarts,
}

pub struct World {
    settings: Settings,
    pub(crate) now: Instant,
    elapsed: Duration,
    random: Random,
    queue: BTreeMap<(Instant, u64), Future>,
    queued: u64,
    config: CoreConfig,
    /// None while the core is down.
    pub(crate) mesh: Option<Mesh>,
    /// How often the core has started.
    life: u32,
    pub(crate) store: SimStore,
    pub(crate) upf: UpFunction,
    /// The tables of the user plane, as the last writes left them.
    pub(crate) uplinks: BTreeMap<u32, UplinkRecord>,
    pub(crate) downlinks: BTreeMap<u32, DownlinkRecord>,
    gnbs: Vec<Gnb>,
    associations: HashMap<AssociationId, usize>,
    last_association: u64,
    pub(crate) ues: Vec<Ue>,
    pub(crate) tunnels: BTreeMap<(u32, u8), gnb::Tunnel>,
    /// What UEs and gNBs said, newest last.
    pub ue_events: Vec<(u32, ue::Event)>,
    pub gnb_events: Vec<gnb::Event>,
    pub core_events: Vec<Event>,
    last_command: u64,
}

const CONFIG: &str = r#"
name = "sim"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "10.0.0.1" }
n4 = { local = "10.0.1.1:8805", upf = "10.0.1.2:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"
"#;

/// How long a gNB waits before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);
/// The most that may happen in one call of [`World::run_for`]; more is a loop, and fails the run.
const STEPS_MAX: u64 = 5_000_000;

impl World {
    /// A core that has started, gNBs that connect, phones that are off.
    #[allow(clippy::disallowed_methods, reason = "the start of virtual time; only differences count")]
    pub fn new(settings: Settings) -> Self {
        let config = CoreConfig::from_toml(CONFIG).expect("the text above is a configuration");
        let now = Instant::now();
        let mut random = Random::new(settings.seed);
        let mut store = SimStore::default();
        let profile = Arc::new(UeProfile::new(config.plmn, config.tacs[0]));
        let ues = (0..settings.ues).map(|n| new_ue(n, &profile, &mut store)).collect();
        let gnbs = (0..settings.gnbs).map(|n| Gnb::new(gnb_config(n, &config))).collect();
        let upf = new_upf(now, Duration::ZERO, random.draw() as u32);
        let mut world = Self {
            settings,
            now,
            elapsed: Duration::ZERO,
            random,
            queue: BTreeMap::new(),
            queued: 0,
            config,
            mesh: None,
            life: 0,
            store,
            upf,
            uplinks: BTreeMap::new(),
            downlinks: BTreeMap::new(),
            gnbs,
            associations: HashMap::new(),
            last_association: 0,
            ues,
            tunnels: BTreeMap::new(),
            ue_events: Vec::new(),
            gnb_events: Vec::new(),
            core_events: Vec::new(),
            last_command: 0,
        };
        world.start_core();
        world
    }

    /// The core dies as by kill -9: what was not committed is gone, and every association with it. It is back after `away`.
    pub fn kill_core(&mut self, away: Duration) {
        self.mesh = None;
        let life = self.life;
        self.queue.retain(|_, future| match future {
            Future::Commit { life: of, .. } => *of != life,
            Future::ToAmf { .. } | Future::ToGnb { .. } | Future::N2Up { .. } | Future::N2Down { .. } => false,
            Future::ToSmf { .. } | Future::ToUpf { .. } | Future::CoreStarts => true,
        });
        for (_, gnb) in std::mem::take(&mut self.associations) {
            self.gnb(gnb, gnb::Input::Down);
        }
        self.after(away, Future::CoreStarts);
    }

    /// A new user plane in place of the old one: it has no session, and says so by its recovery time stamp.
    pub fn replace_upf(&mut self) {
        self.upf = new_upf(self.now, self.elapsed, self.random.draw() as u32);
        self.uplinks.clear();
        self.downlinks.clear();
    }

    /// An association breaks; its gNB connects again.
    pub fn break_n2(&mut self, gnb: usize) {
        let Some(association) = self.association_of(gnb) else { return };
        self.associations.remove(&association);
        self.input(Input::N2(N2Event::Down { association }));
        self.gnb(gnb, gnb::Input::Down);
        self.connect(gnb, RECONNECT);
    }

    pub fn register(&mut self, ue: usize, kind: RegistrationKind) {
        self.ue(ue, ue::Input::Register(kind));
    }

    pub fn establish(&mut self, ue: usize, psi: u8) {
        self.ue(ue, ue::Input::EstablishSession(SessionRequest { psi, dnn: None, slice: None }));
    }

    pub fn release(&mut self, ue: usize, psi: u8) {
        self.ue(ue, ue::Input::ReleaseSession { psi });
    }

    pub fn request_service(&mut self, ue: usize) {
        self.ue(ue, ue::Input::RequestService { data: true });
    }

    pub fn deregister(&mut self, ue: usize, switch_off: bool) {
        self.ue(ue, ue::Input::Deregister { switch_off });
    }

    /// The gNB finds the phone silent and asks for its release.
    pub fn idle(&mut self, ue: usize) {
        let cause = gnb::ReleaseCause::UserInactivity;
        self.gnb(self.gnb_of(ue), gnb::Input::RequestRelease { ue: ue as u32, cause });
    }

    /// Octets that a gNB sends as an NGAP message.
    pub fn inject_ngap(&mut self, gnb: usize, stream: u16, octets: &[u8]) {
        if let Some(association) = self.association_of(gnb) {
            self.input(Input::N2(N2Event::Message { association, stream, octets: octets.to_vec() }));
        }
    }

    /// Octets that a phone sends as a NAS message, in its connection or as the first of a new one.
    pub fn inject_nas(&mut self, ue: usize, octets: &[u8]) {
        let (gnb, key, nas) = (self.gnb_of(ue), ue as u32, octets.to_vec());
        let input = match self.ues[ue].is_connected() {
            true => gnb::Input::Uplink { ue: key, nas },
            false => {
                let cause = ue::EstablishmentCause::MoSignalling;
                gnb::Input::Initial { ue: key, nas, cause, identity: None }
            }
        };
        self.gnb(gnb, input);
    }

    /// A datagram that reaches the session management from the user plane's address.
    pub fn inject_to_smf(&mut self, octets: &[u8]) {
        self.input(Input::Pfcp { peer: self.config.n4.upf, octets: octets.to_vec() });
    }

    /// A datagram that reaches the user plane from the session management's address.
    pub fn inject_to_upf(&mut self, octets: &[u8]) {
        let datagram = coeur_session::Input::Datagram { from: self.config.n4.local, octets };
        let outputs = self.upf.handle(self.now, datagram);
        self.upf_says(outputs);
    }

    /// The operator deregisters the phone.
    pub fn command_deregister(&mut self, ue: usize) {
        self.last_command += 1;
        let supi = self.ues[ue].config().supi.clone();
        self.input(Input::AmfCommand(CommandId(self.last_command), AmfCommand::Deregister { supi }));
    }

    /// The operator removes the subscriber.
    pub fn remove_subscriber(&mut self, ue: usize) {
        let supi = self.ues[ue].config().supi.clone();
        self.store.remove(&supi);
        self.input(Input::SubscriberRemoved(supi));
    }

    pub fn is_registered(&self, ue: usize) -> bool {
        self.ues[ue].is_registered()
    }

    pub fn sessions(&self, ue: usize) -> usize {
        self.ues[ue].sessions().count()
    }

    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Lets `duration` pass, with all that happens in it.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        for _ in 0..STEPS_MAX {
            match self.next_time() {
                Some(next) if next <= until => self.step(next.max(self.now)),
                _ => {
                    self.advance_to(until);
                    return;
                }
            }
        }
        panic!(
            "seed {}: more than {STEPS_MAX} steps in {duration:?}: something goes round in circles",
            self.settings.seed
        );
    }

    fn advance_to(&mut self, time: Instant) {
        self.elapsed += time - self.now;
        self.now = time;
    }

    fn next_time(&self) -> Option<Instant> {
        let queued = self.queue.first_key_value().map(|((time, _), _)| *time);
        let core = self.mesh.as_ref().and_then(Mesh::next_deadline);
        let ues = self.ues.iter().filter_map(Ue::next_deadline).min();
        let gnbs = self.gnbs.iter().filter_map(Gnb::next_deadline).min();
        [queued, core, ues, gnbs, self.upf.next_deadline()].into_iter().flatten().min()
    }

    /// One thing happens: what is queued first, then what is due.
    fn step(&mut self, time: Instant) {
        self.advance_to(time);
        if self.queue.first_key_value().is_some_and(|((due, _), _)| *due <= time) {
            let (_, future) = self.queue.pop_first().expect("it was there a line ago");
            return self.happen(future);
        }
        if self.mesh.as_ref().and_then(Mesh::next_deadline).is_some_and(|due| due <= time) {
            self.with_mesh(Mesh::handle_timeout);
        }
        if self.upf.next_deadline().is_some_and(|due| due <= time) {
            let outputs = self.upf.handle_timeout(time);
            self.upf_says(outputs);
        }
        for ue in 0..self.ues.len() {
            if self.ues[ue].next_deadline().is_some_and(|due| due <= time) {
                let mut out = Vec::new();
                self.ues[ue].handle_timeout(time, &mut out);
                self.ue_says(ue, out);
            }
        }
        for gnb in 0..self.gnbs.len() {
            if self.gnbs[gnb].next_deadline().is_some_and(|due| due <= time) {
                let mut out = Vec::new();
                self.gnbs[gnb].handle_timeout(time, &mut out);
                self.gnb_says(gnb, out);
            }
        }
    }

    fn happen(&mut self, future: Future) {
        match future {
            Future::N2Up { gnb, association } => {
                self.associations.insert(association, gnb);
                let peer = SocketAddr::from(([10, 0, 2, gnb as u8], 38412));
                self.input(Input::N2(N2Event::Up { association, peer }));
                self.gnb(gnb, gnb::Input::Up { streams: 16 });
            }
            Future::ToAmf { association, stream, octets } => {
                if self.associations.contains_key(&association) {
                    self.input(Input::N2(N2Event::Message { association, stream, octets }));
                }
            }
            Future::ToGnb { association, octets } => {
                if let Some(gnb) = self.associations.get(&association).copied() {
                    self.gnb(gnb, gnb::Input::Ngap(&octets));
                }
            }
            Future::N2Down { association } => {
                if let Some(gnb) = self.associations.remove(&association) {
                    self.input(Input::N2(N2Event::Down { association }));
                    self.gnb(gnb, gnb::Input::Down);
                    self.connect(gnb, RECONNECT);
                }
            }
            Future::ToSmf { octets } => self.input(Input::Pfcp { peer: self.config.n4.upf, octets }),
            Future::ToUpf { octets } => {
                let datagram = coeur_session::Input::Datagram { from: self.config.n4.local, octets: &octets };
                let outputs = self.upf.handle(self.now, datagram);
                self.upf_says(outputs);
            }
            Future::Commit { owner, token, operation, .. } => {
                let reply = self.store.carry_out(operation);
                self.input(Input::Stored(owner, token, reply));
            }
            Future::CoreStarts => self.start_core(),
        }
    }

    fn start_core(&mut self) {
        self.life += 1;
        let mut env = Env { now: self.now, unix_time: unix_time(self.elapsed), entropy: &mut self.random };
        self.mesh = Some(Mesh::from_config(&self.config, &mut env).expect("the configuration was checked"));
        self.input(Input::Restore { ues: self.store.ues(), sessions: self.store.sessions() });
        for gnb in 0..self.gnbs.len() {
            self.connect(gnb, Duration::from_millis(1));
        }
    }

    fn connect(&mut self, gnb: usize, after: Duration) {
        self.last_association += 1;
        let association = AssociationId(self.last_association);
        self.after(after, Future::N2Up { gnb, association });
    }

    fn association_of(&self, gnb: usize) -> Option<AssociationId> {
        self.associations.iter().find(|(_, of)| **of == gnb).map(|(association, _)| *association)
    }

    fn gnb_of(&self, ue: usize) -> usize {
        ue % self.gnbs.len()
    }

    fn after(&mut self, delay: Duration, future: Future) {
        self.queued += 1;
        self.queue.insert((self.now + delay, self.queued), future);
    }

    fn input(&mut self, input: Input) {
        self.with_mesh(|mesh, env, out| mesh.handle(env, input, out));
    }

    fn with_mesh(&mut self, act: impl FnOnce(&mut Mesh, &mut Env<'_>, &mut Vec<Output>)) {
        let Some(mesh) = &mut self.mesh else { return };
        let mut out = Vec::new();
        let mut env = Env { now: self.now, unix_time: unix_time(self.elapsed), entropy: &mut self.random };
        act(mesh, &mut env, &mut out);
        for output in out {
            self.core_says(output);
        }
    }

    fn core_says(&mut self, output: Output) {
        match output {
            // SCTP keeps the order, so every message of one direction takes the same time.
            Output::N2(N2Action::Send { association, octets, .. }) => {
                self.after(self.settings.faults.n2_delay, Future::ToGnb { association, octets });
            }
            Output::N2(N2Action::Close { association }) => {
                self.after(self.settings.faults.n2_delay, Future::N2Down { association });
            }
            Output::Pfcp { octets, .. } => self.n4(octets, |octets| Future::ToUpf { octets }),
            Output::Store(owner, token, operation) => {
                let delay = self.settings.faults.commit_delay;
                self.after(delay, Future::Commit { life: self.life, owner, token, operation });
            }
            Output::Event(event) => self.core_events.push(event),
            Output::AmfCommandDone(..) | Output::SmfCommandDone(..) => {}
        }
    }

    /// A datagram on N4: lost, repeated and late as the faults say.
    fn n4(&mut self, octets: Vec<u8>, future: impl Fn(Vec<u8>) -> Future) {
        let faults = self.settings.faults;
        if self.random.chance(faults.n4_lost) {
            return;
        }
        if self.random.chance(faults.n4_repeated) {
            let delay = self.random.up_to(faults.n4_delay);
            self.after(delay, future(octets.clone()));
        }
        let delay = self.random.up_to(faults.n4_delay);
        self.after(delay, future(octets));
    }

    fn upf_says(&mut self, outputs: Vec<coeur_session::Output>) {
        for output in outputs {
            match output {
                coeur_session::Output::Send { octets, .. } => self.n4(octets, |octets| Future::ToSmf { octets }),
                coeur_session::Output::Apply { transaction, measure, writes } => {
                    writes.into_iter().for_each(|write| self.write(write));
                    let result = Ok(vec![coeur_session::Usage::default(); measure.len()]);
                    let applied = coeur_session::Input::Applied { transaction, result };
                    let outputs = self.upf.handle(self.now, applied);
                    self.upf_says(outputs);
                }
                // A packet on N3, for a gNB that lost the tunnel anyway; nothing here carries packets.
                coeur_session::Output::EndMarker(_) | coeur_session::Output::Event(_) => {}
            }
        }
    }

    fn write(&mut self, write: MapWrite) {
        match write {
            MapWrite::Uplink { index, record } => {
                self.uplinks.remove(&index);
                if !record.is_empty() {
                    self.uplinks.insert(index, record);
                }
            }
            MapWrite::Downlink { index, record } => {
                self.downlinks.remove(&index);
                if !record.is_empty() {
                    self.downlinks.insert(index, record);
                }
            }
            MapWrite::UplinkByTeid { .. } | MapWrite::DownlinkByAddress { .. } => {
                panic!("our session management lets the user plane choose, within its pools")
            }
        }
    }

    fn ue(&mut self, ue: usize, input: ue::Input<'_>) {
        let mut out = Vec::new();
        self.ues[ue].handle(self.now, input, &mut out);
        self.ue_says(ue, out);
    }

    fn ue_says(&mut self, ue: usize, outputs: Vec<ue::Output>) {
        let (gnb, key) = (self.gnb_of(ue), ue as u32);
        for output in outputs {
            match output {
                ue::Output::Initial { nas, cause, identity } => {
                    self.gnb(gnb, gnb::Input::Initial { ue: key, nas, cause, identity });
                }
                ue::Output::Uplink { nas } => self.gnb(gnb, gnb::Input::Uplink { ue: key, nas }),
                ue::Output::LocalRelease => {
                    let cause = gnb::ReleaseCause::ConnectionLost;
                    self.gnb(gnb, gnb::Input::RequestRelease { ue: key, cause });
                }
                ue::Output::Event(event) => self.ue_events.push((key, event)),
            }
        }
    }

    fn gnb(&mut self, gnb: usize, input: gnb::Input<'_>) {
        let mut out = Vec::new();
        self.gnbs[gnb].handle(self.now, input, &mut out);
        self.gnb_says(gnb, out);
    }

    fn gnb_says(&mut self, gnb: usize, outputs: Vec<gnb::Output>) {
        for output in outputs {
            match output {
                gnb::Output::Ngap { stream, octets } => {
                    if let Some(association) = self.association_of(gnb) {
                        let delay = self.settings.faults.n2_delay;
                        self.after(delay, Future::ToAmf { association, stream, octets });
                    }
                }
                gnb::Output::Downlink { ue, nas } => self.ue(ue as usize, ue::Input::Nas(&nas)),
                gnb::Output::Kgnb { ue, key } => self.ue(ue as usize, ue::Input::Kgnb(key)),
                gnb::Output::Released { ue } => self.ue(ue as usize, ue::Input::Released),
                gnb::Output::Page { .. } => {}
                gnb::Output::TunnelUp(tunnel) => drop(self.tunnels.insert((tunnel.ue, tunnel.psi), tunnel)),
                gnb::Output::TunnelDown { ue, psi, .. } => drop(self.tunnels.remove(&(ue, psi))),
                gnb::Output::Event(event) => self.gnb_events.push(event),
            }
        }
    }
}

fn unix_time(elapsed: Duration) -> Duration {
    Duration::from_secs(1_700_000_000) + elapsed
}

fn new_ue(n: u32, profile: &Arc<UeProfile>, store: &mut SimStore) -> Ue {
    let supi = Supi::from_imsi(&format!("00101{n:010}")).expect("fifteen digits");
    let mut k = [0x46; 16];
    k[12..].copy_from_slice(&n.to_be_bytes());
    let (k, opc) = (Secret::new(k), Secret::new([0xE8; 16]));
    store.add(supi.clone(), k.clone(), opc.clone(), crate::check::subscription());
    Ue::new(UeConfig::new(Arc::clone(profile), supi, k, OperatorKey::Opc(opc)))
}

fn gnb_config(n: u32, config: &CoreConfig) -> GnbConfig {
    GnbConfig {
        plmn: config.plmn,
        id: n + 1,
        id_bits: 24,
        name: format!("gnb-{n}"),
        tac: config.tacs[0],
        slices: config.slices.clone(),
        n3: Ipv4Addr::new(10, 0, 3, n as u8),
        teid_base: 1,
        ue_max: 10_000,
    }
}

fn new_upf(now: Instant, elapsed: Duration, seed: u32) -> UpFunction {
    let n4_address = IpAddr::from([10, 0, 1, 2]);
    let pool = coeur_rules::Prefix::new(Ipv4Addr::new(10, 45, 0, 0), 16).expect("a prefix");
    UpFunction::new(
        coeur_session::Config {
            node_id: coeur_session::NodeId::Address(n4_address),
            n4_address,
            peer_port: 8805,
            n3_address: Ipv4Addr::new(10, 0, 4, 1),
            pools: coeur_rules::Pools::new(vec![pool]).expect("one pool overlaps with none"),
            started: SystemTime::UNIX_EPOCH + unix_time(elapsed),
            seed,
            limits: coeur_session::Limits::default(),
            timers: coeur_session::Timers::default(),
        },
        now,
    )
}
