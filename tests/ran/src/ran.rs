//! gNBs and UEs joined: what a core sees of a whole radio access network, still without IO.
//!
//! ```text
//!   commands ──► Ue ◄─NAS─► Gnb ◄─NGAP─► (the owner: SCTP, or a simulated link)
//!                 │          │
//!                 └─ events ─┴─ tunnels ─► (the owner: GTP-U, or nothing)
//! ```
//!
//! One value holds any number of both; deadlines of all UEs are in one ordered set.

use crate::gnb::{self, Gnb, GnbConfig, ReleaseCause, Tunnel, UeKey};
use crate::misbehave::{Kind, Misbehaviour};
use crate::ue::{self, EstablishmentCause, Ue, UeConfig};
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{STmsi, is_security_protected};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

/// A gNB, by its place.
pub type GnbKey = usize;

#[derive(Debug)]
pub enum Input<'a> {
    Gnb {
        gnb: GnbKey,
        input: gnb::Input<'a>,
    },
    Ue {
        ue: UeKey,
        input: ue::Input<'a>,
    },
    /// The gNB of a UE asks the AMF to release its connection.
    Release {
        ue: UeKey,
        cause: ReleaseCause,
    },
}

#[derive(Debug)]
pub enum Output {
    Ngap { gnb: GnbKey, stream: u16, octets: Vec<u8> },
    Ue { ue: UeKey, event: ue::Event },
    Gnb { gnb: GnbKey, event: gnb::Event },
    TunnelUp { gnb: GnbKey, tunnel: Tunnel },
    TunnelDown { gnb: GnbKey, ue: UeKey, psi: u8, teid: u32 },
}

struct Slot {
    ue: Ue,
    gnb: GnbKey,
    deadline: Option<Instant>,
    /// What misbehaviour needs to remember; `None` while nobody misbehaves.
    memory: Option<Box<Memory>>,
}

#[derive(Default)]
struct Memory {
    held: Option<Uplink>,
    last: Option<Vec<u8>>,
}

/// One NAS message on its way from a UE to its gNB.
#[derive(Clone)]
struct Uplink {
    nas: Vec<u8>,
    /// With the cause and identity of a new connection.
    initial: Option<(EstablishmentCause, Option<STmsi>)>,
}

/// A NAS message that `Late` holds back, ordered by time and then by arrival.
struct Delayed {
    at: Instant,
    order: u64,
    ue: UeKey,
    uplink: Uplink,
}

/// What is still to be carried between models while one input is handled.
enum Step {
    ToUe(UeKey, Vec<u8>),
    Kgnb(UeKey, [u8; 32]),
    Released(UeKey),
    /// Heard in the cell of this gNB.
    Page(GnbKey, STmsi),
    FromUe(UeKey, ue::Output),
}

pub struct Ran {
    gnbs: Vec<Gnb>,
    slots: Vec<Slot>,
    deadlines: BTreeSet<(Instant, UeKey)>,
    by_tmsi: HashMap<u64, UeKey>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    delayed_order: u64,
    misbehaviour: Misbehaviour,
    steps: VecDeque<Step>,
    from_ue: Vec<ue::Output>,
    from_gnb: Vec<gnb::Output>,
}

impl Ran {
    pub fn new(misbehaviour: Misbehaviour) -> Self {
        Self {
            gnbs: Vec::new(),
            slots: Vec::new(),
            deadlines: BTreeSet::new(),
            by_tmsi: HashMap::new(),
            delayed: BinaryHeap::new(),
            delayed_order: 0,
            misbehaviour,
            steps: VecDeque::new(),
            from_ue: Vec::new(),
            from_gnb: Vec::new(),
        }
    }

    pub fn add_gnb(&mut self, config: GnbConfig) -> GnbKey {
        self.gnbs.push(Gnb::new(config));
        self.gnbs.len() - 1
    }

    /// A UE that camps on `gnb`. One that does not exist serves nobody: the UE's messages go nowhere.
    pub fn add_ue(&mut self, config: UeConfig, gnb: GnbKey) -> UeKey {
        let memory = (!self.misbehaviour.is_none()).then(Box::default);
        self.slots.push(Slot { ue: Ue::new(config), gnb, deadline: None, memory });
        (self.slots.len() - 1) as UeKey
    }

    pub fn ue(&self, ue: UeKey) -> Option<&Ue> {
        self.slots.get(ue as usize).map(|slot| &slot.ue)
    }

    pub fn ue_mut(&mut self, ue: UeKey) -> Option<&mut Ue> {
        self.slots.get_mut(ue as usize).map(|slot| &mut slot.ue)
    }

    pub fn gnb(&self, gnb: GnbKey) -> Option<&Gnb> {
        self.gnbs.get(gnb)
    }

    pub fn gnbs(&self) -> usize {
        self.gnbs.len()
    }

    pub fn ues(&self) -> usize {
        self.slots.len()
    }

    pub fn misbehaviour(&self) -> &Misbehaviour {
        &self.misbehaviour
    }

    /// Makes a UE camp on another gNB. It is to be idle: there is no handover.
    pub fn move_ue(&mut self, ue: UeKey, gnb: GnbKey) {
        if let Some(slot) = self.slots.get_mut(ue as usize) {
            slot.gnb = gnb;
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Gnb { gnb, input } => self.tell_gnb(now, gnb, input, out),
            Input::Ue { ue, input } => self.tell_ue(now, ue, input),
            Input::Release { ue, cause } => {
                if let Some(gnb) = self.slots.get(ue as usize).map(|slot| slot.gnb) {
                    self.tell_gnb(now, gnb, gnb::Input::RequestRelease { ue, cause }, out);
                }
            }
        }
        self.settle(now, out);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let ues = self.deadlines.first().map(|(at, _)| *at);
        let delayed = self.delayed.peek().map(|Reverse(delayed)| delayed.at);
        let gnbs = self.gnbs.iter().filter_map(Gnb::next_deadline).min();
        [ues, delayed, gnbs].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Output>) {
        while self.delayed.peek().is_some_and(|Reverse(delayed)| delayed.at <= now) {
            let Some(Reverse(delayed)) = self.delayed.pop() else { break };
            self.deliver(now, delayed.ue, delayed.uplink, out);
        }
        for gnb in 0..self.gnbs.len() {
            let mut from_gnb = std::mem::take(&mut self.from_gnb);
            self.gnbs[gnb].handle_timeout(now, &mut from_gnb);
            self.take_gnb_outputs(gnb, from_gnb, out);
        }
        while let Some(&(at, ue)) = self.deadlines.first() {
            if at > now {
                break;
            }
            let mut from_ue = std::mem::take(&mut self.from_ue);
            if let Some(slot) = self.slots.get_mut(ue as usize) {
                slot.ue.handle_timeout(now, &mut from_ue);
            }
            self.take_ue_outputs(ue, from_ue);
        }
        self.settle(now, out);
    }

    /// Carries messages between the models until none is left. It ends: only what the network sends makes a gNB deliver
    /// something, and a UE answers one message with a handful at most.
    fn settle(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::ToUe(ue, nas) => {
                    if !self.misbehaviour.is_none() {
                        let wrong = self.misbehaviour.roll(Kind::WrongResStar);
                        if let Some(slot) = self.slots.get_mut(ue as usize) {
                            slot.ue.set_wrong_res_star(wrong);
                        }
                    }
                    self.tell_ue(now, ue, ue::Input::Nas(&nas));
                }
                Step::Kgnb(ue, key) => self.tell_ue(now, ue, ue::Input::Kgnb(key)),
                Step::Released(ue) => self.tell_ue(now, ue, ue::Input::Released),
                Step::Page(gnb, identity) => self.page(now, gnb, identity, out),
                Step::FromUe(ue, output) => self.carry(now, ue, output, out),
            }
        }
    }

    fn tell_ue(&mut self, now: Instant, ue: UeKey, input: ue::Input<'_>) {
        let mut from_ue = std::mem::take(&mut self.from_ue);
        if let Some(slot) = self.slots.get_mut(ue as usize) {
            slot.ue.handle(now, input, &mut from_ue);
        }
        self.take_ue_outputs(ue, from_ue);
    }

    fn take_ue_outputs(&mut self, ue: UeKey, mut from_ue: Vec<ue::Output>) {
        self.steps.extend(from_ue.drain(..).map(|output| Step::FromUe(ue, output)));
        self.from_ue = from_ue;
        let Some(slot) = self.slots.get_mut(ue as usize) else { return };
        let deadline = slot.ue.next_deadline();
        if deadline != slot.deadline {
            if let Some(old) = std::mem::replace(&mut slot.deadline, deadline) {
                self.deadlines.remove(&(old, ue));
            }
            self.deadlines.extend(deadline.map(|at| (at, ue)));
        }
    }

    fn tell_gnb(&mut self, now: Instant, gnb: GnbKey, input: gnb::Input<'_>, out: &mut Vec<Output>) {
        let Some(target) = self.gnbs.get_mut(gnb) else { return };
        let mut from_gnb = std::mem::take(&mut self.from_gnb);
        target.handle(now, input, &mut from_gnb);
        self.take_gnb_outputs(gnb, from_gnb, out);
    }

    fn take_gnb_outputs(&mut self, gnb: GnbKey, mut from_gnb: Vec<gnb::Output>, out: &mut Vec<Output>) {
        for output in from_gnb.drain(..) {
            match output {
                gnb::Output::Ngap { stream, mut octets } => {
                    if self.misbehaviour.roll(Kind::TruncatedNgap) {
                        octets.truncate(1 + self.misbehaviour.below(octets.len() - 1));
                    }
                    out.push(Output::Ngap { gnb, stream, octets });
                }
                gnb::Output::Downlink { ue, nas } => self.steps.push_back(Step::ToUe(ue, nas)),
                gnb::Output::Kgnb { ue, key } => self.steps.push_back(Step::Kgnb(ue, key)),
                gnb::Output::Released { ue } => self.steps.push_back(Step::Released(ue)),
                gnb::Output::Page { identity } => self.steps.push_back(Step::Page(gnb, identity)),
                gnb::Output::TunnelUp(tunnel) => out.push(Output::TunnelUp { gnb, tunnel }),
                gnb::Output::TunnelDown { ue, psi, teid } => out.push(Output::TunnelDown { gnb, ue, psi, teid }),
                gnb::Output::Event(event) => out.push(Output::Gnb { gnb, event }),
            }
        }
        self.from_gnb = from_gnb;
    }

    fn carry(&mut self, now: Instant, ue: UeKey, output: ue::Output, out: &mut Vec<Output>) {
        match output {
            ue::Output::Initial { nas, cause, identity } => {
                self.misbehave(now, ue, Uplink { nas, initial: Some((cause, identity)) }, out);
            }
            ue::Output::Uplink { nas } => self.misbehave(now, ue, Uplink { nas, initial: None }, out),
            ue::Output::LocalRelease => {
                let Some(gnb) = self.slots.get(ue as usize).map(|slot| slot.gnb) else { return };
                let input = gnb::Input::RequestRelease { ue, cause: ReleaseCause::ConnectionLost };
                self.tell_gnb(now, gnb, input, out);
            }
            ue::Output::Event(event) => {
                if matches!(event, ue::Event::Registered { .. } | ue::Event::ConfigurationUpdated)
                    && let Some(guti) = self.ue(ue).and_then(Ue::guti)
                {
                    self.by_tmsi.insert(guti.s_tmsi().to_u64(), ue);
                }
                out.push(Output::Ue { ue, event });
            }
        }
    }

    /// A page is for the UE that has this 5G-S-TMSI still, and reaches it in the cell that it camps on.
    fn page(&mut self, now: Instant, gnb: GnbKey, identity: STmsi, out: &mut Vec<Output>) {
        let ue = self.by_tmsi.get(&identity.to_u64()).copied();
        let ue = ue.filter(|ue| self.ue(*ue).and_then(Ue::guti).is_some_and(|guti| guti.s_tmsi() == identity));
        match ue {
            Some(ue) if self.slots.get(ue as usize).is_some_and(|slot| slot.gnb == gnb) => {
                self.tell_ue(now, ue, ue::Input::Paged);
            }
            // The AMF pages in all cells of the registration area.
            Some(_) => {}
            None => out.push(Output::Gnb { gnb, event: gnb::Event::Violation(Violation::Paging) }),
        }
    }

    fn misbehave(&mut self, now: Instant, ue: UeKey, mut uplink: Uplink, out: &mut Vec<Output>) {
        if self.misbehaviour.is_none() {
            return self.deliver(now, ue, uplink, out);
        }
        let dice = &mut self.misbehaviour;
        if dice.roll(Kind::Lost) {
            return;
        }
        if dice.roll(Kind::GarbageNas) {
            dice.fill(&mut uplink.nas);
        }
        if is_security_protected(&uplink.nas) && dice.roll(Kind::WrongMac) {
            uplink.nas[2] ^= 0x80;
        }
        if dice.roll(Kind::Late) {
            let (at, order) = (now + dice.delay, self.delayed_order);
            self.delayed_order += 1;
            return self.delayed.push(Reverse(Delayed { at, order, ue, uplink }));
        }
        let (out_of_order, duplicate) = (dice.roll(Kind::OutOfOrder), dice.roll(Kind::Duplicate));
        let replay = dice.roll(Kind::Replay);
        let memory = self.slots.get_mut(ue as usize).and_then(|slot| slot.memory.as_deref_mut());
        let (mut held, mut last) = (None, None);
        if let Some(memory) = memory {
            last = memory.last.replace(uplink.nas.clone());
            held = memory.held.take();
            // The first message of a connection has nothing to be overtaken by.
            if out_of_order && held.is_none() && uplink.initial.is_none() {
                memory.held = Some(uplink);
                return;
            }
        }
        let again = duplicate.then(|| uplink.clone());
        self.deliver(now, ue, uplink, out);
        let replayed = last.filter(|_| replay).map(|nas| Uplink { nas, initial: None });
        for uplink in [held, again, replayed].into_iter().flatten() {
            self.deliver(now, ue, uplink, out);
        }
    }

    fn deliver(&mut self, now: Instant, ue: UeKey, uplink: Uplink, out: &mut Vec<Output>) {
        let Some(gnb) = self.slots.get(ue as usize).map(|slot| slot.gnb) else { return };
        let input = match uplink.initial {
            Some((cause, identity)) => gnb::Input::Initial { ue, nas: uplink.nas, cause, identity },
            None => gnb::Input::Uplink { ue, nas: uplink.nas },
        };
        let wrong_ids = self.misbehaviour.roll(Kind::UnknownIds);
        if let (true, Some(gnb)) = (wrong_ids, self.gnbs.get_mut(gnb)) {
            gnb.set_wrong_ids(true);
        }
        self.tell_gnb(now, gnb, input, out);
        if let (true, Some(gnb)) = (wrong_ids, self.gnbs.get_mut(gnb)) {
            gnb.set_wrong_ids(false);
        }
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
