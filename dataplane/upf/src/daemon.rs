//! The one loop.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use coeur_rules::RemoteTunnel;
use coeur_session::{ApplyFailure, Event, Input, Limits, Output, Timers, UpFunction};
use coeur_slowpath::GTPU_PORT;
use coeur_slowpath::answer::{Answerer, Outcome};
use coeur_slowpath::gtpu;
use coeur_slowpath::io::{Datagram, Port};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::event_log::EventLog;
use crate::exposition::Snapshot;
use crate::serve::{self, Question};
use crate::tables::Tables;

/// Most datagrams read from N4 before the others get their turn.
const BATCH: usize = 64;
/// Longest PFCP message: what UDP carries.
const DATAGRAM_MAX: usize = 65_507;

/// The daemon, ready to run.
pub struct Daemon<T> {
    config: Config,
    tables: T,
    news: Option<AsyncFd<OwnedFd>>,
    up: UpFunction,
    n4: UdpSocket,
    port: Port,
    answerer: Answerer,
    answers: [u64; Outcome::ALL.len()],
    questions: mpsc::Receiver<Question>,
    metrics: SocketAddr,
    started: SystemTime,
    send_failures: u64,
    counters_unreadable: u64,
    end_markers: u64,
    log: EventLog,
}

/// What the loop waits for.
enum Turn {
    N4,
    Gtpu(Option<Datagram>),
    News,
    Question(Option<Question>),
    Deadline,
    Stop,
}

impl<T: Tables> Daemon<T> {
    /// Opens the sockets. `gtpu_port` is 2152 but for tests.
    pub async fn open(config: Config, tables: T, gtpu_port: u16) -> anyhow::Result<Self> {
        let n4 = UdpSocket::bind(config.n4).await.with_context(|| format!("n4: cannot listen at {}", config.n4))?;
        let gtpu = SocketAddrV4::new(config.n3.address, gtpu_port);
        let port = Port::open(gtpu, config.slowpath_io).with_context(|| format!("n3: cannot listen at {gtpu}"))?;
        let (metrics, questions) = serve::start(config.metrics)
            .await
            .with_context(|| format!("metrics: cannot listen at {}", config.metrics))?;
        let news = tables.news().map(|fd| fd.try_clone_to_owned()).transpose()?;
        // SAFETY: the descriptor is owned, so it stays open, and stays itself, until the `AsyncFd` drops it.
        let watch = |fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        let news = news.map(watch).transpose().map_err(io::Error::from)?;
        let (now, started) = (Instant::now(), SystemTime::now());
        let up = UpFunction::new(session_config(&config, n4.local_addr()?, started), now);
        let answerer = Answerer::new(config.n3.address, now);
        Ok(Self {
            config,
            tables,
            news,
            up,
            n4,
            port,
            answerer,
            answers: [0; Outcome::ALL.len()],
            questions,
            metrics,
            started,
            send_failures: 0,
            counters_unreadable: 0,
            end_markers: 0,
            log: EventLog::new(now),
        })
    }

    pub fn n4_address(&self) -> io::Result<SocketAddr> {
        self.n4.local_addr()
    }

    /// The line by which whoever started us knows that PFCP is served.
    pub fn ready_line(&self) -> anyhow::Result<String> {
        let (driver, reason) = self.port.driver();
        Ok(serde_json::json!({
            "event": "ready",
            "name": self.config.name,
            "n4": self.n4.local_addr()?,
            "metrics": self.metrics,
            "paths": self.tables.paths(),
            "slowpath_io": { "driver": driver, "reason": reason },
        })
        .to_string())
    }

    /// Serves until `stop` is done. Gives back the tables: to leave them as they are, or to take them away.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<T> {
        let mut stop = std::pin::pin!(stop);
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let deadline = self.up.next_deadline();
            let turn = tokio::select! {
                () = &mut stop => Turn::Stop,
                ready = self.n4.readable() => ready.map(|()| Turn::N4)?,
                datagram = self.port.receive() => Turn::Gtpu(datagram),
                ready = news(self.news.as_ref()) => ready.map(|()| Turn::News)?,
                question = self.questions.recv() => Turn::Question(question),
                () = sleep_until(deadline) => Turn::Deadline,
            };
            match turn {
                Turn::Stop => return Ok(self.tables),
                Turn::N4 => self.serve_n4(&mut buffer),
                Turn::Gtpu(Some(datagram)) => self.answer(&datagram),
                Turn::Gtpu(None) => anyhow::bail!("the GTP-U socket has failed"),
                Turn::News => self.follow_routes(),
                // Nobody waits for the answer any more: that is theirs to know.
                Turn::Question(Some(question)) => drop(question.send(self.snapshot())),
                Turn::Question(None) => anyhow::bail!("metrics are not served any more"),
                Turn::Deadline => {
                    let outputs = self.up.handle_timeout(Instant::now());
                    self.perform(outputs);
                }
            }
        }
    }

    fn serve_n4(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.n4.try_recv_from(buffer) {
                Ok((length, from)) => {
                    let input = Input::Datagram { from, octets: &buffer[..length] };
                    let outputs = self.up.handle(Instant::now(), input);
                    self.perform(outputs);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about something that was sent: the peer is not there, heartbeats will notice.
                Err(error) => tracing::debug!(%error, "N4 socket"),
            }
        }
    }

    /// Writes tables at once, so that no datagram ever meets a session at work.
    fn perform(&mut self, outputs: Vec<Output>) {
        let mut waiting = std::collections::VecDeque::from(outputs);
        while let Some(output) = waiting.pop_front() {
            match output {
                Output::Send { to, octets } => {
                    if let Err(error) = self.n4.try_send_to(&octets, to) {
                        self.send_failures += 1;
                        tracing::debug!(%error, %to, "N4 socket");
                    }
                }
                Output::Event(event) => {
                    if matches!(event, Event::AssociationEstablished { .. }) {
                        self.tables.forget_former_sessions();
                    }
                    self.log.event(&event);
                }
                Output::EndMarker(tunnel) => {
                    let peer = SocketAddrV4::new(tunnel.address, GTPU_PORT);
                    self.port.send(Datagram { peer, octets: gtpu::end_marker(tunnel.teid) });
                    self.end_markers += 1;
                }
                Output::Apply { transaction, measure, writes } => {
                    let result = self.tables.apply(&measure, &writes).map_err(ApplyFailure);
                    waiting.extend(self.up.handle(Instant::now(), Input::Applied { transaction, result }));
                }
            }
        }
    }

    fn answer(&mut self, datagram: &Datagram) {
        let now = Instant::now();
        let up = &self.up;
        let answer = self.answerer.handle(now, datagram.peer, &datagram.octets, |teid| up.is_tunnel(teid));
        self.answers[answer.outcome as usize] += 1;
        if let Some((peer, octets)) = answer.reply {
            self.port.send(Datagram { peer, octets });
        }
        if let Some(lost) = answer.lost_tunnel
            && let std::net::IpAddr::V4(address) = lost.peer
        {
            let outputs = self.up.handle(now, Input::LostTunnel(RemoteTunnel { address, teid: lost.teid }));
            self.perform(outputs);
        }
    }

    fn follow_routes(&mut self) {
        if let Err(error) = self.tables.poll() {
            tracing::warn!(%error, "routes and neighbours");
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let counters = self.tables.counters().unwrap_or_else(|error| {
            self.counters_unreadable += 1;
            tracing::warn!(%error, "counters of the fast path");
            coeur_fastpath::Counters::default()
        });
        Snapshot {
            started: self.started,
            session_max: self.config.session_max,
            pfcp_send_failures: self.send_failures,
            answers: self.answers,
            end_markers: self.end_markers,
            counters,
            counters_unreadable: self.counters_unreadable,
            paths: self.tables.paths(),
            ..Snapshot::of(&self.up, &self.port)
        }
    }
}

fn session_config(config: &Config, n4: SocketAddr, started: SystemTime) -> coeur_session::Config {
    let since_1970 = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    coeur_session::Config {
        node_id: config.node_id(),
        n4_address: n4.ip(),
        peer_port: config.n4_peer_port,
        n3_address: config.n3.address,
        pools: config.pools.clone(),
        started,
        // Another one a second later, so that TEIDs and SEIDs of a former instance do not match.
        seed: since_1970.as_secs() as u32 ^ since_1970.subsec_nanos(),
        limits: Limits { sessions_max: config.session_max, ..Limits::default() },
        timers: Timers::default(),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The descriptor is edge triggered: cleared here, read to its end by [`Tables::poll`].
async fn news(descriptor: Option<&AsyncFd<OwnedFd>>) -> io::Result<()> {
    match descriptor {
        Some(descriptor) => {
            descriptor.readable().await?.clear_ready();
            Ok(())
        }
        None => std::future::pending().await,
    }
}
