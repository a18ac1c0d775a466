//! A RAN of one gNB, the scripted core, and the wire between: in virtual time.

use crate::core::{Core, plmn_identity};
use crate::network::{config_of, plmn};
use coeur_model::{Snssai, Tac};
use coeur_ran::gnb::{self, GnbConfig};
use coeur_ran::misbehave::Misbehaviour;
use coeur_ran::ue::{self, RegistrationKind, SessionRequest};
use coeur_ran::{Input, Output, Ran, Violation};
use oxirush_ngap::aper::Bits;
use oxirush_ngap::build_ngap;
use oxirush_ngap::helpers::tai;
use oxirush_ngap::ngap::*;
use std::collections::VecDeque;
use std::time::Instant;

/// Messages carried at most in one go: more is a loop.
const STEPS_MAX: usize = 10_000;

pub(crate) fn gnb_config(id: u32) -> GnbConfig {
    GnbConfig {
        plmn: plmn(),
        id,
        id_bits: 24,
        name: format!("gnb-{id}"),
        tac: Tac::new(1).unwrap(),
        slices: vec![Snssai::new(1, None)],
        n3: [10, 0, 3, 1].into(),
        teid_base: id << 24,
        ue_max: 1_000,
    }
}

type Tamper = Box<dyn FnMut(u32, &mut Vec<u8>)>;

pub(crate) struct Amf {
    pub(crate) ran: Ran,
    core: Core,
    pub(crate) now: Instant,
    pub(crate) outputs: Vec<Output>,
    /// Uplink NGAP messages as they were sent.
    pub(crate) uplinks: Vec<Vec<u8>>,
    /// Changes downlink messages; gets their number.
    pub(crate) tamper: Option<Tamper>,
    count: u32,
    /// Errors that the core had with what it received: expected of a RAN that misbehaves.
    pub(crate) errors: u32,
}

impl Amf {
    pub(crate) fn new() -> Self {
        Self::misbehaving(Misbehaviour::none())
    }

    pub(crate) fn misbehaving(misbehaviour: Misbehaviour) -> Self {
        let mut ran = Ran::new(misbehaviour);
        ran.add_gnb(gnb_config(1));
        Self {
            ran,
            core: Core::new(),
            now: Instant::now(),
            outputs: Vec::new(),
            uplinks: Vec::new(),
            tamper: None,
            count: 0,
            errors: 0,
        }
    }

    pub(crate) fn attach_one(&mut self) {
        self.ran.add_ue(config_of(crate::network::IMSI), 0);
        self.input(Input::Gnb { gnb: 0, input: gnb::Input::Up { streams: 4 } });
        self.ue(0, ue::Input::Register(RegistrationKind::Initial));
        self.ue(0, ue::Input::EstablishSession(SessionRequest { psi: 1, dnn: None, slice: None }));
    }

    pub(crate) fn ue(&mut self, ue: u32, input: ue::Input<'_>) {
        self.input(Input::Ue { ue, input });
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.ran.handle(self.now, input, &mut out);
        self.carry(out);
    }

    /// The next timer.
    pub(crate) fn wait(&mut self) {
        self.now = self.ran.next_deadline().expect("a timer");
        let mut out = Vec::new();
        self.ran.handle_timeout(self.now, &mut out);
        self.carry(out);
    }

    fn carry(&mut self, out: Vec<Output>) {
        let mut queue: VecDeque<Output> = out.into();
        for _ in 0..STEPS_MAX {
            let Some(output) = queue.pop_front() else { return };
            let Output::Ngap { gnb, octets, .. } = output else {
                self.outputs.push(output);
                continue;
            };
            self.uplinks.push(octets.clone());
            let answers = self.core.receive(&octets).unwrap_or_else(|_| {
                self.errors += 1;
                Vec::new()
            });
            for mut answer in answers {
                if let Some(tamper) = &mut self.tamper {
                    tamper(self.count, &mut answer);
                }
                self.count += 1;
                let mut out = Vec::new();
                let input = Input::Gnb { gnb, input: gnb::Input::Ngap(&answer) };
                self.ran.handle(self.now, input, &mut out);
                queue.extend(out);
            }
        }
        panic!("the models talk without end");
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        let violations = self.outputs.iter().filter_map(|output| match output {
            Output::Ue { event: ue::Event::Violation(violation), .. }
            | Output::Gnb { event: gnb::Event::Violation(violation), .. } => Some(violation.clone()),
            _ => None,
        });
        violations.collect()
    }

    pub(crate) fn page(&mut self, tmsi: u32) {
        let identity = FiveGSTMSI::new(
            AMFSetID(Bits::new(1, 10).unwrap()),
            AMFPointer(Bits::new(0, 6).unwrap()),
            FiveGTMSI(tmsi.to_be_bytes()),
            None,
        );
        let areas = TAIListForPaging(vec![TAIListForPagingItem::new(tai(plmn_identity(), [0, 0, 1]), None)]);
        let pdu = build_ngap!(
            InitiatingMessage,
            Paging,
            Paging,
            UEPagingIdentity(UEPagingIdentity::fiveG_S_TMSI(identity)),
            TAIListForPaging(areas),
        );
        let octets = pdu.unwrap().encode().unwrap();
        self.input(Input::Gnb { gnb: 0, input: gnb::Input::Ngap(&octets) });
    }
}
