//! The network functions of one core, and the wires between them.
//!
//! Pure: an input from outside goes to the function it is for, what that function asks of another is carried there in the
//! same call, and what leaves the core comes out as [`Output`]s, in order.
//!
//! ```text
//!   N2 ──► AMF ◄──► AUSF ──► UDM ◄── store
//!           ▲ ▲               ▲ ▲
//!           │ └───────────────┘ │        AMF, AUSF and SMF all ask the UDM
//!           └────► SMF ◄────────┘
//!   N4 ────────────►┘
//! ```

use coeur_amf::{Amf, AmfSettings};
use coeur_ausf::Ausf;
use coeur_model::Supi;
use coeur_model::config::CoreConfig;
use coeur_nf::event::Event;
use coeur_nf::metric::Sample;
use coeur_nf::services::namf::{AmfCommand, AmfCommandError, AmfInput, AmfOutput, AmfRequest, N2Action, N2Event};
use coeur_nf::services::nausf::{AusfInput, AusfOutput};
use coeur_nf::services::nsmf::{SmfCommand, SmfCommandError, SmfInput, SmfOutput};
use coeur_nf::services::nudm::{UdmConsumer, UdmInput, UdmOutput};
use coeur_nf::store::{SessionRecord, StoreError, StoreOp, StoreReply, UeRecord};
use coeur_nf::{CommandId, Env, ExchangeId, NetworkFunction, StoreToken};
use coeur_smf::Smf;
use coeur_udm::Udm;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// What reaches a core from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// What a former process of this core had committed. Comes before everything else.
    Restore {
        ues: Vec<UeRecord>,
        sessions: Vec<SessionRecord>,
    },
    N2(N2Event),
    Pfcp {
        peer: SocketAddr,
        octets: Vec<u8>,
    },
    Stored(Owner, StoreToken, Result<StoreReply, StoreError>),
    AmfCommand(CommandId, AmfCommand),
    SmfCommand(CommandId, SmfCommand),
    /// The operator removed a subscriber (the store has already forgotten it).
    SubscriberRemoved(Supi),
}

/// What a core wants done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    N2(N2Action),
    Pfcp { peer: SocketAddr, octets: Vec<u8> },
    Store(Owner, StoreToken, StoreOp),
    AmfCommandDone(CommandId, Result<(), AmfCommandError>),
    SmfCommandDone(CommandId, Result<(), SmfCommandError>),
    Event(Event),
}

/// Why no functions can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Amf(#[from] coeur_model::Invalid),
    #[error(transparent)]
    Udm(#[from] coeur_udm::UdmConfigError),
}

/// Which function a storage operation belongs to: each numbers its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Amf,
    Smf,
    Udm,
}

/// The functions of one core.
pub struct Mesh {
    pub amf: Amf,
    pub smf: Smf,
    pub ausf: Ausf,
    pub udm: Udm,
    wires: Wires,
}

/// What is under way between functions. Kept between calls for its memory only: it is empty when a call returns.
#[derive(Default)]
struct Wires {
    queue: VecDeque<Hop>,
    amf: Vec<AmfOutput>,
    smf: Vec<SmfOutput>,
    ausf: Vec<AusfOutput>,
    udm: Vec<UdmOutput>,
    notifications: u64,
}

/// One message on its way to a function.
enum Hop {
    Amf(AmfInput),
    Smf(SmfInput),
    Ausf(AusfInput),
    Udm(UdmInput),
}

/// Exchanges that the mesh itself opens at the AMF, on behalf of the UDM. An SMF's numbers stay below.
const UDM_EXCHANGES: u64 = 1 << 63;

/// Most hops that one input may cause: a registration takes six. More is a loop between two functions, which is a bug;
/// it is cut here and told, so that it costs one input and not the core.
const HOPS_MAX: usize = 100_000;

impl Mesh {
    pub fn new(amf: Amf, smf: Smf, ausf: Ausf, udm: Udm) -> Self {
        Self { amf, smf, ausf, udm, wires: Wires::default() }
    }

    /// The functions of a core that has this configuration. Begins to set up the association with the user plane.
    pub fn from_config(config: &CoreConfig, env: &mut Env<'_>) -> Result<Self, ConfigError> {
        let amf = Amf::new(AmfSettings::new(config)?);
        Ok(Self::new(amf, Smf::new(config, env), Ausf::new(config), Udm::new(config)?))
    }

    /// Handles one input to its end.
    pub fn handle(&mut self, env: &mut Env<'_>, input: Input, out: &mut Vec<Output>) {
        let queue = &mut self.wires.queue;
        match input {
            Input::Restore { ues, sessions } => {
                queue.push_back(Hop::Smf(SmfInput::Restore(sessions)));
                queue.push_back(Hop::Amf(AmfInput::Restore(ues)));
            }
            Input::N2(event) => queue.push_back(Hop::Amf(AmfInput::N2(event))),
            Input::Pfcp { peer, octets } => queue.push_back(Hop::Smf(SmfInput::Pfcp { peer, octets })),
            Input::Stored(Owner::Amf, token, reply) => queue.push_back(Hop::Amf(AmfInput::Stored(token, reply))),
            Input::Stored(Owner::Smf, token, reply) => queue.push_back(Hop::Smf(SmfInput::Stored(token, reply))),
            Input::Stored(Owner::Udm, token, reply) => queue.push_back(Hop::Udm(UdmInput::Stored(token, reply))),
            Input::AmfCommand(id, command) => queue.push_back(Hop::Amf(AmfInput::Command(id, command))),
            Input::SmfCommand(id, command) => queue.push_back(Hop::Smf(SmfInput::Command(id, command))),
            Input::SubscriberRemoved(supi) => queue.push_back(Hop::Udm(UdmInput::SubscriberRemoved(supi))),
        }
        self.carry(env, out);
    }

    /// Handles every timer that is due, in all functions.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>, out: &mut Vec<Output>) {
        self.amf.handle_timeout(env, &mut self.wires.amf);
        self.smf.handle_timeout(env, &mut self.wires.smf);
        self.ausf.handle_timeout(env, &mut self.wires.ausf);
        self.udm.handle_timeout(env, &mut self.wires.udm);
        self.wires.sort(out);
        self.carry(env, out);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.amf.next_deadline(), self.smf.next_deadline(), self.ausf.next_deadline(), self.udm.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    pub fn samples(&self, out: &mut Vec<Sample>) {
        self.amf.samples(out);
        self.smf.samples(out);
        self.ausf.samples(out);
        self.udm.samples(out);
    }

    /// Carries messages between functions until none is left.
    fn carry(&mut self, env: &mut Env<'_>, out: &mut Vec<Output>) {
        for _ in 0..HOPS_MAX {
            let Some(hop) = self.wires.queue.pop_front() else { return };
            match hop {
                Hop::Amf(input) => self.amf.handle(env, input, &mut self.wires.amf),
                Hop::Smf(input) => self.smf.handle(env, input, &mut self.wires.smf),
                Hop::Ausf(input) => self.ausf.handle(env, input, &mut self.wires.ausf),
                Hop::Udm(input) => self.udm.handle(env, input, &mut self.wires.udm),
            }
            self.wires.sort(out);
        }
        let cut = self.wires.queue.len();
        self.wires.queue.clear();
        let cause = format!("{cut} messages between network functions were cut off after {HOPS_MAX} hops of one input");
        out.push(Output::Event(Event::ProcedureFailed { procedure: "mesh", supi: None, cause }));
    }
}

impl Wires {
    /// Puts what the functions said where it belongs: onto the queue, or out.
    fn sort(&mut self, out: &mut Vec<Output>) {
        self.sort_amf(out);
        self.sort_smf(out);
        for said in self.ausf.drain(..) {
            self.queue.push_back(match said {
                AusfOutput::Respond(id, answer) => Hop::Amf(AmfInput::Ausf(id, answer)),
                AusfOutput::Udm(id, request) => Hop::Udm(UdmInput::Request(UdmConsumer::Ausf, id, request)),
            });
        }
        for said in self.udm.drain(..) {
            self.queue.push_back(match said {
                UdmOutput::Respond(UdmConsumer::Amf, id, answer) => Hop::Amf(AmfInput::Udm(id, answer)),
                UdmOutput::Respond(UdmConsumer::Ausf, id, answer) => Hop::Ausf(AusfInput::Udm(id, answer)),
                UdmOutput::Respond(UdmConsumer::Smf, id, answer) => Hop::Smf(SmfInput::Udm(id, answer)),
                UdmOutput::NotifyDeregistration(supi) => {
                    self.notifications += 1;
                    let id = ExchangeId(UDM_EXCHANGES | self.notifications);
                    Hop::Amf(AmfInput::Request(id, AmfRequest::SubscriptionWithdrawn { supi }))
                }
                UdmOutput::Store(token, op) => {
                    out.push(Output::Store(Owner::Udm, token, op));
                    continue;
                }
            });
        }
    }

    fn sort_amf(&mut self, out: &mut Vec<Output>) {
        for said in self.amf.drain(..) {
            match said {
                AmfOutput::N2(action) => out.push(Output::N2(action)),
                AmfOutput::Store(token, op) => out.push(Output::Store(Owner::Amf, token, op)),
                AmfOutput::CommandDone(id, result) => out.push(Output::AmfCommandDone(id, result)),
                AmfOutput::Event(event) => out.push(Output::Event(event)),
                AmfOutput::Ausf(id, request) => self.queue.push_back(Hop::Ausf(AusfInput::Request(id, request))),
                AmfOutput::Udm(id, request) => {
                    self.queue.push_back(Hop::Udm(UdmInput::Request(UdmConsumer::Amf, id, request)));
                }
                AmfOutput::Smf(id, request) => self.queue.push_back(Hop::Smf(SmfInput::Request(id, request))),
                // The UDM's notification has no answer that anybody waits for (TS 29.503, 5.3.2.3.2: 204).
                AmfOutput::Respond(id, _) if id.0 >= UDM_EXCHANGES => {}
                AmfOutput::Respond(id, answer) => self.queue.push_back(Hop::Smf(SmfInput::Amf(id, answer))),
            }
        }
    }

    fn sort_smf(&mut self, out: &mut Vec<Output>) {
        for said in self.smf.drain(..) {
            match said {
                SmfOutput::Pfcp { peer, octets } => out.push(Output::Pfcp { peer, octets }),
                SmfOutput::Store(token, op) => out.push(Output::Store(Owner::Smf, token, op)),
                SmfOutput::CommandDone(id, result) => out.push(Output::SmfCommandDone(id, result)),
                SmfOutput::Event(event) => out.push(Output::Event(event)),
                SmfOutput::Respond(id, answer) => self.queue.push_back(Hop::Amf(AmfInput::Smf(id, answer))),
                SmfOutput::Udm(id, request) => {
                    self.queue.push_back(Hop::Udm(UdmInput::Request(UdmConsumer::Smf, id, request)));
                }
                SmfOutput::Amf(id, request) => self.queue.push_back(Hop::Amf(AmfInput::Request(id, request))),
            }
        }
    }
}
