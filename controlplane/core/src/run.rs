//! The loop of a core: whatever arrives becomes an input of the mesh, whatever it wants done is done.
//!
//! One thread. Everything that has arrived is handled before anything is sent, so that one commit, one system call and one
//! wake-up serve many phones when there are many, and none waits when there is one.

use crate::ask::{Ask, Asker};
use crate::entropy::KernelEntropy;
use crate::events::EventLog;
use crate::northbound::Northbound;
use crate::{exposition, http, views};
use anyhow::Context as _;
use coeur_mesh::{Input, Mesh, Output, Owner};
use coeur_model::config::{CoreConfig, SctpChoice};
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfCommand, AmfCommandError, N2Action, N2Event};
use coeur_nf::services::nsmf::{SmfCommand, SmfCommandError};
use coeur_nf::{AssociationId, CommandId, Env, StoreToken};
use coeur_northbound::core_v1::core_server::CoreServer;
use coeur_store::{Store, Writer};
use coeur_transport::sctp::SctpEvent;
use coeur_transport::{pfcp, sctp};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

/// What a core process is told on its command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The core's file (TOML, [`CoreConfig`]).
    pub config: PathBuf,
    /// Where its database and its key are.
    pub state_dir: PathBuf,
    /// Where it serves the northbound contract.
    pub socket: PathBuf,
}

/// How long a stopping core waits for gNBs to see it go.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Runs one core until SIGTERM or SIGINT. Prints one line of JSON to stdout when N2 is served: the platform waits for it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let config = read_config(&options)?;
    let store = Store::open(&options.state_dir).await.context("opening the store")?;
    let mut core = Core::new(started, Arc::new(config), store).await?;
    let (asker, asks) = Asker::new();
    core.serve(&options, asker).await?;
    core.restore().await?;
    core.listen()?;
    println!("{}", core.ready_line());
    core.drive(asks).await
}

fn read_config(options: &Options) -> anyhow::Result<CoreConfig> {
    let file = options.config.display();
    let text = std::fs::read_to_string(&options.config).with_context(|| format!("reading {file}"))?;
    CoreConfig::from_toml(&text).map_err(|error| anyhow::anyhow!("{file}: {error}"))
}

/// A running core.
pub(crate) struct Core {
    pub(crate) started: Instant,
    pub(crate) started_unix: Duration,
    pub(crate) ready_after: Option<Duration>,
    pub(crate) config: Arc<CoreConfig>,
    pub(crate) mesh: Mesh,
    pub(crate) n2: sctp::Endpoint,
    pub(crate) n2_address: Option<SocketAddr>,
    n4: pfcp::UdpEndpoint,
    store: Store,
    pub(crate) writer: Writer<(Owner, StoreToken)>,
    events: Arc<EventLog>,
    entropy: KernelEntropy,
    commands: Commands,
    pub(crate) upf_was_associated: bool,
    /// When the user plane came into its state, since the Unix epoch.
    pub(crate) upf_since: Duration,
    /// Streams that an association has towards its gNB.
    streams: HashMap<AssociationId, u16>,
    pub(crate) figures: Figures,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

/// Commands that wait for their procedure to end.
#[derive(Default)]
struct Commands {
    last: u64,
    deregistrations: HashMap<CommandId, oneshot::Sender<Result<(), AmfCommandError>>>,
    releases: HashMap<CommandId, oneshot::Sender<Result<(), SmfCommandError>>>,
}

/// What the loop itself counts.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) inputs: u64,
    pub(crate) turns: u64,
    /// SCTP messages of another protocol than NGAP.
    pub(crate) foreign_messages: u64,
    /// Messages that an association had no room for; it was aborted (a gNB that does not read is a gNB that is lost).
    pub(crate) unsendable_messages: u64,
    pub(crate) unsendable_datagrams: u64,
}

impl Core {
    async fn new(started: Instant, config: Arc<CoreConfig>, store: Store) -> anyhow::Result<Self> {
        let started_unix = unix_time();
        let choice = match config.n2.sctp {
            SctpChoice::Auto => sctp::SctpChoice::Auto,
            SctpChoice::Kernel => sctp::SctpChoice::Kernel,
            SctpChoice::Usrsctp => sctp::SctpChoice::Usrsctp,
        };
        let n2 = sctp::Endpoint::new(choice, sctp::SctpSettings::default()).context("SCTP for N2")?;
        let n4 = pfcp::UdpEndpoint::bind(config.n4.local).with_context(|| format!("N4 at {}", config.n4.local))?;
        let mut entropy = KernelEntropy::new();
        let mut env = Env { now: Instant::now(), unix_time: started_unix, entropy: &mut entropy };
        let mesh = Mesh::from_config(&config, &mut env)?;
        let writer = store.writer();
        let run = u64::try_from(started_unix.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            started,
            started_unix,
            ready_after: None,
            config,
            mesh,
            n2,
            n2_address: None,
            n4,
            store,
            writer,
            events: Arc::new(EventLog::new(run)),
            entropy,
            commands: Commands::default(),
            upf_was_associated: false,
            upf_since: started_unix,
            streams: HashMap::new(),
            figures: Figures::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        })
    }

    /// Starts the northbound contract and `/metrics`. Both answer from the loop.
    async fn serve(&self, options: &Options, asker: Asker) -> anyhow::Result<()> {
        let socket = &options.socket;
        // A socket left by a process that was killed; the store's lock says that it is gone.
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", socket.display()));
            }
            _ => {}
        }
        let listener = UnixListener::bind(socket).with_context(|| format!("binding {}", socket.display()))?;
        let service = Northbound {
            asker: asker.clone(),
            store: self.store.clone(),
            events: Arc::clone(&self.events),
            config: Arc::clone(&self.config),
        };
        let server = tonic::transport::Server::builder()
            .add_service(CoreServer::new(service))
            .serve_with_incoming(tokio_stream::wrappers::UnixListenerStream::new(listener));
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the northbound service ended");
            }
        });
        let metrics = self.config.metrics;
        let listener = TcpListener::bind(metrics).await.with_context(|| format!("metrics at {metrics}"))?;
        tokio::spawn(async move {
            if let Err(error) = http::serve(listener, asker).await {
                tracing::error!(%error, "the metrics service ended");
            }
        });
        Ok(())
    }

    /// Gives the functions what a former process had committed.
    async fn restore(&mut self) -> anyhow::Result<()> {
        let (ues, sessions) = self.store.load().await.context("reading contexts")?;
        info!(ues = ues.len(), sessions = sessions.len(), "restored");
        self.inputs.push(Input::Restore { ues, sessions });
        self.turn();
        Ok(())
    }

    /// Opens N2.
    fn listen(&mut self) -> anyhow::Result<()> {
        let address = SocketAddr::new(self.config.n2.address, self.config.n2.port);
        let bound = self.n2.listen(address).with_context(|| format!("N2 at {address}"))?;
        self.n2_address = Some(bound);
        self.ready_after = Some(self.started.elapsed());
        info!(n2 = %bound, sctp = self.n2.implementation().name(), "N2 is served");
        Ok(())
    }

    fn ready_line(&self) -> String {
        let ms = self.ready_after.unwrap_or_default().as_millis();
        let n2 = self.n2_address.map(|address| address.to_string()).unwrap_or_default();
        let (name, sctp) = (&self.config.name, self.n2.implementation().name());
        format!(r#"{{"event":"ready","core":"{name}","n2":"{n2}","sctp":"{sctp}","ready_ms":{ms}}}"#)
    }

    /// Waits, takes all that has come, handles it, and again, until a signal.
    async fn drive(mut self, mut asks: mpsc::Receiver<Ask>) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (mut n2_events, mut datagrams, mut replies) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let deadline = self.mesh.next_deadline();
            tokio::select! {
                () = self.n2.next_events(&mut n2_events) => self.take_n2(&mut n2_events),
                received = self.n4.recv_batch(&mut datagrams) => {
                    received.context("N4")?;
                    self.inputs.extend(datagrams.drain(..).map(|(peer, octets)| Input::Pfcp { peer, octets }));
                }
                () = self.writer.replies(&mut replies) => {
                    let stored = replies.drain(..).map(|((owner, token), reply)| Input::Stored(owner, token, reply));
                    self.inputs.extend(stored);
                }
                Some(ask) = asks.recv() => self.answer(ask),
                () = sleep_until(deadline) => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            self.turn();
        }
        info!("stopping");
        let Self { n2, store, .. } = self;
        n2.shutdown(STOP_LIMIT).await;
        store.close().await;
        Ok(())
    }

    fn take_n2(&mut self, events: &mut Vec<SctpEvent>) {
        for event in events.drain(..) {
            let event = match event {
                SctpEvent::Up { association, peer, outbound_streams, inbound_streams } => {
                    debug!(association, %peer, outbound_streams, inbound_streams, "association up");
                    let association = AssociationId(association);
                    self.streams.insert(association, outbound_streams);
                    N2Event::Up { association, peer }
                }
                SctpEvent::Message { association, stream, ppid: sctp::PPID_NGAP, octets } => {
                    N2Event::Message { association: AssociationId(association), stream, octets }
                }
                // TS 38.412, 7: 60 is the identifier of NGAP; what carries another one is not for us.
                SctpEvent::Message { association, ppid, .. } => {
                    debug!(association, ppid, "a message that is not NGAP was discarded");
                    self.figures.foreign_messages += 1;
                    continue;
                }
                SctpEvent::Down { association, reason } => {
                    debug!(association, reason = reason.name(), "association down");
                    let association = AssociationId(association);
                    self.streams.remove(&association);
                    N2Event::Down { association }
                }
            };
            self.inputs.push(Input::N2(event));
        }
    }

    /// Handles everything that has come, and everything that is due; then does what came of it.
    fn turn(&mut self) {
        self.figures.turns += 1;
        self.figures.inputs += self.inputs.len() as u64;
        let mut env = Env { now: Instant::now(), unix_time: unix_time(), entropy: &mut self.entropy };
        for input in self.inputs.drain(..) {
            self.mesh.handle(&mut env, input, &mut self.outputs);
        }
        if self.mesh.next_deadline().is_some_and(|deadline| deadline <= env.now) {
            self.mesh.handle_timeout(&mut env, &mut self.outputs);
        }
        let unix_ms = u64::try_from(env.unix_time.as_millis()).unwrap_or(u64::MAX);
        self.carry_out(unix_ms);
    }

    fn carry_out(&mut self, unix_ms: u64) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let (mut operations, mut events, mut sent) = (Vec::new(), Vec::new(), false);
        for output in outputs.drain(..) {
            match output {
                Output::N2(action) => {
                    self.act_on_n2(action);
                    sent = true;
                }
                Output::Pfcp { peer, octets } => {
                    if let Err(error) = self.n4.send(peer, octets) {
                        // PFCP repeats a request that gets no answer (TS 29.244, 6.4).
                        debug!(%peer, %error, "a PFCP datagram was not sent");
                        self.figures.unsendable_datagrams += 1;
                    }
                }
                Output::Store(owner, token, operation) => operations.push(((owner, token), operation)),
                Output::AmfCommandDone(id, result) => {
                    if let Some(reply) = self.commands.deregistrations.remove(&id) {
                        // Who asked may have gone; the procedure has ended all the same.
                        let _ = reply.send(result);
                    }
                }
                Output::SmfCommandDone(id, result) => {
                    if let Some(reply) = self.commands.releases.remove(&id) {
                        let _ = reply.send(result);
                    }
                }
                Output::Event(event) => {
                    if let Event::UpfAssociated { .. } | Event::UpfLost { .. } = event {
                        self.upf_was_associated = true;
                        self.upf_since = Duration::from_millis(unix_ms);
                    }
                    log(&event);
                    events.push(event);
                }
            }
        }
        self.outputs = outputs;
        if sent {
            self.n2.flush();
        }
        self.n4.flush();
        self.writer.submit(operations);
        self.events.append(unix_ms, events);
    }

    fn act_on_n2(&mut self, action: N2Action) {
        let (association, stream, octets) = match action {
            N2Action::Send { association, stream, octets } => (association, stream, octets),
            N2Action::Close { association } => return self.n2.close(association.0),
        };
        let streams = self.streams.get(&association).copied().unwrap_or(1);
        if let Err(error) = self.n2.send(association.0, fold(stream, streams), &octets) {
            debug!(association = association.0, %error, "an NGAP message was not sent");
            self.figures.unsendable_messages += 1;
            if error == sctp::SendError::QueueFull {
                self.n2.abort(association.0);
            }
        }
    }

    /// Answers the northbound service, or gives its command to the function that it is for.
    fn answer(&mut self, ask: Ask) {
        // A reply that nobody waits for any more is dropped: the caller has gone.
        match ask {
            Ask::Status(reply) => drop(reply.send(views::status(self))),
            Ask::Ues { after, limit, reply } => drop(reply.send(views::ues(&self.mesh.amf, after.as_ref(), limit))),
            Ask::Ue { supi, reply } => drop(reply.send(views::ue(&self.mesh.amf, &supi))),
            Ask::Sessions { after, supi, limit, reply } => {
                drop(reply.send(views::sessions(&self.mesh.smf, after.as_ref(), supi.as_ref(), limit)));
            }
            Ask::DeregisterUe { supi, reply } => {
                let id = self.commands.next();
                self.commands.deregistrations.insert(id, reply);
                self.inputs.push(Input::AmfCommand(id, AmfCommand::Deregister { supi }));
            }
            Ask::ReleaseSession { supi, session, reply } => {
                let id = self.commands.next();
                self.commands.releases.insert(id, reply);
                self.inputs.push(Input::SmfCommand(id, SmfCommand::Release { supi, session }));
            }
            Ask::SubscriberRemoved(supi) => self.inputs.push(Input::SubscriberRemoved(supi)),
            Ask::Metrics(reply) => {
                let text = exposition::encode(views::samples(self)).unwrap_or_else(|error| {
                    warn!(%error, "the metrics could not be encoded");
                    String::new()
                });
                drop(reply.send(text));
            }
        }
    }
}

impl Commands {
    fn next(&mut self) -> CommandId {
        self.last += 1;
        CommandId(self.last)
    }
}

/// Folds a stream into what the association has: 0 stays for what concerns no phone, phones share the others (TS 38.412, 7).
fn fold(stream: u16, streams: u16) -> u16 {
    match stream {
        0 => 0,
        _ if streams <= 1 => 0,
        _ => 1 + (stream - 1) % (streams - 1),
    }
}

/// Sleeps until `deadline`; for ever without one.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Events that an operator may have to look into are in the log too; the others are in the event stream.
fn log(event: &Event) {
    match event {
        Event::GnbConnected { gnb, name } => info!(?gnb, name, "gNB connected"),
        Event::GnbRefused { cause } => warn!(cause, "gNB refused"),
        Event::GnbLost { gnb } => warn!(?gnb, "gNB lost"),
        Event::UpfAssociated { node } => info!(node, "user plane associated"),
        Event::UpfLost { node } => warn!(node, "user plane lost"),
        Event::ProcedureFailed { procedure, supi, cause } => {
            let supi = supi.as_ref().map(tracing::field::display);
            info!(procedure, supi, cause, "procedure failed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_phones_never_fold_onto_the_common_one() {
        assert_eq!([0, 1, 2, 3, 4, 65_535].map(|stream| fold(stream, 3)), [0, 1, 2, 1, 2, 1]);
        assert_eq!([0, 1, 9].map(|stream| fold(stream, 1)), [0, 0, 0]);
    }
}
