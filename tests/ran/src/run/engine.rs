//! The loop: what happened goes into the models, what they want done goes out.

use super::command::Action;
use super::inject::Inject;
use super::n2::{self, N2};
use super::n3::N3;
use super::options::Options;
use super::plan::{Plan, Stage};
use super::report::{self, Report};
use super::subscribers;
use anyhow::{Context as _, bail};
use coeur_ran::gnb::{self, UeKey};
use coeur_ran::ue::{self, UeConfig};
use coeur_ran::{Input, Output, Ran};
use coeur_transport::sctp::Endpoint;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Commands that wait; the writer then blocks on its pipe.
const COMMANDS_MAX: usize = 64;

/// What the run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Attaching,
    Injecting,
    Holding,
    Deregistering,
    Ending,
}

/// A command on stdin whose outcome is waited for.
pub(super) struct Waiter {
    pub(super) ue: UeKey,
    pub(super) action: Action,
    pub(super) text: String,
    pub(super) since: Instant,
}

pub(super) struct Engine<'a> {
    pub(super) options: &'a Options,
    pub(super) ran: Ran,
    pub(super) n2: N2,
    pub(super) n3: Option<N3>,
    pub(super) plan: Plan,
    pub(super) report: Report,
    pub(super) inject: Option<Inject>,
    pub(super) phase: Phase,
    pub(super) begun: Instant,
    pub(super) attached_in: Option<Duration>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) by_imsi: HashMap<String, UeKey>,
    pub(super) session: (Option<coeur_model::Dnn>, Option<coeur_model::Snssai>),
    pub(super) tun_prefix: String,
    /// An NG setup that was refused for good, or a signal before all was done.
    pub(super) aborted: Option<String>,
    pub(super) outputs: Vec<Output>,
}

/// Runs what was asked; whether all of it happened.
pub(super) async fn drive(options: &Options) -> anyhow::Result<bool> {
    options.check()?;
    let mut engine = Engine::new(options)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut lines = options.hold.then(stdin_lines);
    let mut events = Vec::new();
    while engine.go_on() {
        let deadline = engine.next_deadline();
        tokio::select! {
            () = engine.n2.next_events(&mut events) => {}
            () = readable(engine.n3.as_ref()) => {}
            () = until(deadline) => {}
            line = next_line(lines.as_mut()) => match line {
                Some(line) => engine.command(Instant::now(), &line),
                // Whoever held the pipe is gone; the run is ended by a signal.
                None => lines = None,
            },
            _ = interrupt.recv() => engine.stop("interrupted"),
            _ = terminate.recv() => engine.stop("terminated"),
        }
        let now = Instant::now();
        for event in events.drain(..) {
            if let Some(event) = engine.n2.take(now, event) {
                engine.heard(now, event);
            }
        }
        engine.carry(now).await;
        engine.timeout(now);
    }
    engine.finish().await
}

async fn readable(n3: Option<&N3>) {
    match n3 {
        Some(n3) => n3.readable().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn next_line(lines: Option<&mut mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// A thread, because a read of stdin cannot be cancelled: it ends with the process.
fn stdin_lines() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(COMMANDS_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

impl<'a> Engine<'a> {
    fn new(options: &'a Options) -> anyhow::Result<Self> {
        let now = Instant::now();
        let mut ran = Ran::new(options.misbehaviour());
        for index in 0..options.gnbs {
            ran.add_gnb(options.gnb(index)?);
        }
        let profile = Arc::new(options.profile()?);
        let mut by_imsi = HashMap::new();
        for (index, subscriber) in subscribers::read(options)?.into_iter().enumerate() {
            let imsi = subscriber.supi.imsi().to_owned();
            let config = UeConfig::new(profile.clone(), subscriber.supi, subscriber.k, subscriber.operator);
            // Refused now, and not by each UE in turn.
            config.profile.concealment.conceal(&config.supi, config.profile.plmn)?;
            let ue = ran.add_ue(config, index % usize::from(options.gnbs));
            if by_imsi.insert(imsi.clone(), ue).is_some() {
                bail!("imsi-{imsi} is there twice");
            }
        }
        let endpoint = Endpoint::new(options.sctp(), N2::settings(options.gnbs)).context("SCTP")?;
        let local = SocketAddr::new(options.gnb_n2, 0);
        let n2 = N2::new(endpoint, local, options.amf, options.gnbs.into(), now);
        let user_plane = options.tun || options.inject.is_some();
        let n3 = user_plane.then(|| N3::bind(options.gnb_n3, options.tun)).transpose()?;
        let tun_prefix = options.tun_prefix.clone().unwrap_or_else(|| format!("cran{}n", std::process::id() % 10_000));
        Ok(Self {
            options,
            plan: Plan::new(ran.ues(), options.parallel, options.rate, options.timeout(), now),
            ran,
            n2,
            n3,
            report: Report::open(options.json.as_deref(), options.summary_only)?,
            inject: None,
            phase: Phase::Attaching,
            begun: now,
            attached_in: None,
            waiters: Vec::new(),
            by_imsi,
            session: (options.dnn()?, options.session_slice()),
            tun_prefix,
            aborted: None,
            outputs: Vec::new(),
        })
    }

    /// Puts out what waits; whether there is anything left to wait for.
    fn go_on(&mut self) -> bool {
        let now = Instant::now();
        self.n2.connect_due(now);
        self.attach_due(now);
        self.next_phase(now);
        self.n2.flush();
        self.report.flush();
        self.phase != Phase::Ending
    }

    fn next_deadline(&self) -> Option<Instant> {
        let ready = self.ran.gnb(0).is_some_and(gnb::Gnb::is_ready);
        let plan = self.plan.next_deadline().filter(|_| ready || self.phase != Phase::Attaching);
        let setup = (!ready && self.phase == Phase::Attaching).then(|| self.begun + self.options.timeout());
        let inject = self.inject.as_ref().map(Inject::next_deadline);
        let waiter = self.waiters.first().map(|waiter| waiter.since + self.options.timeout());
        [plan, setup, inject, waiter, self.ran.next_deadline(), self.n2.next_deadline()].into_iter().flatten().min()
    }

    fn attach_due(&mut self, now: Instant) {
        let ready = (0..self.ran.gnbs()).all(|gnb| self.ran.gnb(gnb).is_some_and(gnb::Gnb::is_ready));
        if !ready || self.phase != Phase::Attaching {
            return;
        }
        while let Some(ue) = self.plan.start(now) {
            self.act(now, Input::Ue { ue, input: ue::Input::Register(ue::RegistrationKind::Initial) });
        }
    }

    /// From one phase to the next when its work is done.
    fn next_phase(&mut self, now: Instant) {
        if self.phase == Phase::Attaching && (self.plan.is_settled() || self.aborted.is_some()) {
            self.attached(now);
        }
        if self.phase == Phase::Injecting && self.inject_tick(now) {
            self.phase = if self.options.hold { Phase::Holding } else { self.farewell(now) };
        }
        if self.phase == Phase::Deregistering && self.plan.is_settled() {
            self.phase = Phase::Ending;
        }
    }

    fn attached(&mut self, now: Instant) {
        let waiting = self.plan.give_up_waiting(now);
        if waiting > 0 {
            let why = self.aborted.clone().unwrap_or_default();
            (0..waiting).for_each(|_| self.report.failure(format!("not started: {why}")));
        }
        self.attached_in = Some(now - self.begun);
        let up = self.plan.count(|stage| stage == Stage::Attached);
        let seconds = (now - self.begun).as_secs_f64();
        self.report.event(|| json!({ "event": "attached", "ues": up, "seconds": seconds }));
        if let (Some(to), None) = (self.options.inject, &self.aborted) {
            let sessions = (0..self.ran.ues() as UeKey).filter_map(|ue| Some((ue, self.ran.ue(ue)?)));
            let sessions = sessions.flat_map(|(ue, model)| model.sessions().map(move |info| (ue, info.psi, info.ipv4)));
            let Options { inject_octets, inject_pps, inject_seconds, .. } = *self.options;
            let inject = Inject::new(to, inject_octets, inject_pps, inject_seconds, sessions.collect(), now);
            self.inject = Some(inject);
            self.phase = Phase::Injecting;
        } else if self.options.hold && self.aborted.is_none() {
            self.phase = Phase::Holding;
        } else {
            self.phase = self.farewell(now);
        }
    }

    /// Whether injecting is over.
    fn inject_tick(&mut self, now: Instant) -> bool {
        let (Some(inject), Some(n3)) = (&mut self.inject, &mut self.n3) else { return true };
        if inject.tick(now, |ue, psi, packet| n3.send(ue, psi, packet)) {
            return false;
        }
        let result = inject.result();
        if inject.received() == 0 {
            self.report.failure("no injected packet came back".into());
        }
        self.report.event(|| result);
        self.inject = None;
        true
    }

    fn farewell(&mut self, now: Instant) -> Phase {
        if !self.options.deregister {
            return Phase::Ending;
        }
        for ue in 0..self.ran.ues() as UeKey {
            if self.ran.ue(ue).is_some_and(ue::Ue::is_registered) {
                self.plan.enter(ue, Stage::Deregistering, now);
                self.act(now, Input::Ue { ue, input: ue::Input::Deregister { switch_off: false } });
            }
        }
        Phase::Deregistering
    }

    pub(super) fn stop(&mut self, why: &str) {
        match self.phase {
            Phase::Holding => self.phase = self.farewell(Instant::now()),
            // The second time, at once.
            Phase::Deregistering | Phase::Ending => self.phase = Phase::Ending,
            Phase::Attaching | Phase::Injecting => {
                self.aborted = Some(why.into());
                if self.phase == Phase::Injecting {
                    self.inject = None;
                }
            }
        }
    }

    fn heard(&mut self, now: Instant, event: n2::Event) {
        match event {
            n2::Event::Up { gnb, streams } => {
                self.act(now, Input::Gnb { gnb, input: gnb::Input::Up { streams } });
            }
            n2::Event::Ngap { gnb, octets } => {
                self.act(now, Input::Gnb { gnb, input: gnb::Input::Ngap(&octets) });
            }
            n2::Event::Down { gnb, reason } => {
                let reason = reason.name();
                self.report.event(|| json!({ "event": "n2-down", "gnb": gnb, "reason": reason }));
                self.act(now, Input::Gnb { gnb, input: gnb::Input::Down });
            }
        }
    }

    /// A burst of user plane packets, and phones that have something to send while they are idle.
    async fn carry(&mut self, now: Instant) {
        let Some(n3) = &mut self.n3 else { return };
        let inject = &mut self.inject;
        n3.carry(|_, _, packet| {
            if let Some(inject) = inject {
                inject.receive(now, packet);
            }
        })
        .await;
        for ue in n3.take_wake() {
            if self.ran.ue(ue).is_some_and(|ue| ue.is_registered() && !ue.is_connected()) {
                self.act(now, Input::Ue { ue, input: ue::Input::RequestService { data: true } });
            }
        }
    }

    fn timeout(&mut self, now: Instant) {
        if self.ran.next_deadline().is_some_and(|at| at <= now) {
            let mut outputs = std::mem::take(&mut self.outputs);
            self.ran.handle_timeout(now, &mut outputs);
            self.carry_out(now, outputs);
        }
        while let Some((ue, stage)) = self.plan.overdue(now) {
            self.fail(now, ue, format!("timeout while {stage:?}"));
        }
        let late = |waiter: &Waiter| now >= waiter.since + self.options.timeout();
        let (late, waiting) = std::mem::take(&mut self.waiters).into_iter().partition(late);
        self.waiters = waiting;
        for waiter in late {
            self.answer(now, &waiter, Err("timeout".into()));
        }
        let ready = self.ran.gnb(0).is_some_and(gnb::Gnb::is_ready);
        if !ready && self.phase == Phase::Attaching && now >= self.begun + self.options.timeout() {
            self.aborted.get_or_insert_with(|| "no NG setup in time".into());
        }
    }

    pub(super) fn act(&mut self, now: Instant, input: Input<'_>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.ran.handle(now, input, &mut outputs);
        self.carry_out(now, outputs);
    }

    fn carry_out(&mut self, now: Instant, mut outputs: Vec<Output>) {
        for output in outputs.drain(..) {
            match output {
                Output::Ngap { gnb, stream, octets } => self.n2.send(gnb, stream, octets),
                Output::Ue { ue, event } => self.ue_event(now, ue, &event),
                Output::Gnb { gnb, event } => self.gnb_event(gnb, event),
                Output::TunnelUp { tunnel, .. } => {
                    if let Some(n3) = &mut self.n3 {
                        n3.tunnel_up(tunnel);
                    }
                }
                Output::TunnelDown { ue, psi, teid, .. } => {
                    if let Some(n3) = &mut self.n3 {
                        n3.tunnel_down(ue, psi, teid);
                    }
                }
            }
        }
        // An event may have asked for more, which used a buffer of its own: the larger one is kept.
        if outputs.capacity() > self.outputs.capacity() {
            self.outputs = outputs;
        }
    }

    async fn finish(mut self) -> anyhow::Result<bool> {
        let failed = self.plan.count(|stage| stage == Stage::Failed);
        let good = if self.options.deregister { Stage::Done } else { Stage::Attached };
        let attached = self.plan.count(|stage| matches!(stage, Stage::Attached | Stage::Done | Stage::Deregistering));
        let misbehaved: serde_json::Map<_, _> =
            self.ran.misbehaviour().counts().map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
        let seconds = self.attached_in.map(|time| time.as_secs_f64());
        let summary = json!({
            "ues": self.ran.ues(),
            "gnbs": self.ran.gnbs(),
            "sctp": self.n2.implementation(),
            "attached": attached,
            "failed": failed,
            "attach_seconds": seconds,
            "attaches_per_second": seconds.filter(|time| *time > 0.0).map(|time| attached as f64 / time),
            "aborted": self.aborted,
            "misbehaved": misbehaved,
            "ngap_messages_lost": self.n2.messages_lost,
            "n3": report::n3_json(self.n3.as_ref().map(|n3| &n3.counters)),
            "self": report::usage(),
        });
        let nothing_came_back = self.report.failures.contains_key("no injected packet came back");
        self.report.summary(summary);
        // By a command, phones may have left again: a run that was held asks for no more than what it held.
        let done = match self.options.deregister {
            true => self.plan.count(|stage| stage == good),
            false => attached,
        };
        self.n2.shutdown().await;
        Ok(self.aborted.is_none() && done == self.ran.ues() && !nothing_came_back)
    }
}
