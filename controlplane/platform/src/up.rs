//! `coeur up`: from a file to running cores, and back.

use crate::config::{Config, Fault};
use crate::desired::{self, Programs};
use crate::driver::Supervisor;
use crate::driver::binaries::{self, BinaryError, find_user_plane};
use crate::driver::confine::User;
use crate::driver::log::LogSink;
use crate::metrics::Metrics;
use crate::northbound::Cores;
use crate::state::State;
use coeur_api::types::{ProcessKind, ProcessState};
use coeur_api::{Token, TokenError};
use prometheus::Registry;
use serde::Serialize;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// When it is said what is still waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `coeur up` is told.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// When this process started: the ready line counts from here.
    pub started: Instant,
    pub config: PathBuf,
    /// `coeur-upf`; none: beside this program, or in PATH.
    pub upf_binary: Option<PathBuf>,
}

/// Why a platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    #[error(transparent)]
    Config(#[from] Fault),
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{data_dir} is in use by another platform", data_dir = .0.display())]
    InUse(PathBuf),
    #[error("user: expected a name or number of /etc/passwd, got {0:?}")]
    User(String),
    #[error("api.listen: cannot listen on {listen}: {source}")]
    Listen { listen: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error("figures: {0}")]
    Figures(#[from] prometheus::Error),
    #[error("a configuration that cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
}

/// Everything is ready: said once.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `ready`.
    pub event: &'static str,
    /// From the start of the platform process.
    pub ready_ms: u64,
    pub api: String,
    pub token_file: PathBuf,
    pub cores: Vec<CoreReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CoreReport {
    pub name: String,
    /// From the start of the core's process.
    pub core_ms: u64,
    /// From the start of the user plane's process, if it is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_plane_ms: Option<u64>,
    /// What each process said of itself when it was ready.
    pub core: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_plane: Option<serde_json::Value>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1e3;
        write!(f, "ready in {:.3} s:", seconds(self.ready_ms))?;
        for (index, core) in self.cores.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator} core {} ({:.3} s", core.name, seconds(core.core_ms))?;
            if let Some(ms) = core.user_plane_ms {
                write!(f, ", user plane {:.3} s", seconds(ms))?;
            }
            write!(f, ")")?;
        }
        write!(f, "; API {}, token {}", self.api, self.token_file.display())
    }
}

/// Runs a platform until SIGTERM or SIGINT. `ready` is called once, when every process is ready.
///
/// To be called from the main thread of a current-thread runtime: the children's lives are tied to the thread.
pub async fn up(options: UpOptions, ready: impl FnOnce(Report)) -> Result<(), UpError> {
    let config = Config::read(&options.config)?;
    let programs = programs(&config, options.upf_binary.as_deref())?;
    let _lock = prepare(&config)?;
    let user = user(&config)?;
    let token = Token::read_or_create(&config.token_file())?;
    let listener = listen(config.api.listen).await?;
    let address = listener.local_addr()?;

    let registry = Registry::new();
    let specs = desired::specs(&config, &programs, user)?;
    let state = Arc::new(State::new(specs.keys().cloned(), Metrics::register(&registry)?));
    let router = coeur_api::router(Arc::new(Cores::new(&config, &state)), token, registry)?;
    let supervisor = Supervisor::new(specs, LogSink::to_stderr()?, Arc::clone(&state));

    let signals = Signals::new()?;
    let (stopped, mut stop) = watch::channel(0u8);
    tokio::spawn(signals.count(stopped));
    let mut hurry = stop.clone();
    let mut api_end = stop.clone();
    let api = tokio::spawn(coeur_api::serve(listener, router, async move { at_least(&mut api_end, 1).await }));
    let children = supervisor.run(at_least(&mut stop, 1), at_least(&mut hurry, 2));
    let watching = async {
        if let Some(report) = wait_until_ready(&state, &config, address, options.started).await {
            ready(report);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = children => {}
        () = watching => {}
    }
    // It ends by itself: it has a limit of its own.
    let _ = api.await;
    Ok(())
}

/// SIGTERM and SIGINT: the first stops, the second stops at once.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn count(mut self, counter: watch::Sender<u8>) {
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => {}
                Some(()) = self.interrupt.recv() => {}
                else => return,
            }
            tracing::info!("stopping");
            counter.send_modify(|count| *count = count.saturating_add(1));
        }
    }
}

async fn at_least(count: &mut watch::Receiver<u8>, least: u8) {
    // Its sender stays as long as the process; if it went, there is nothing to wait for.
    let _ = count.wait_for(|count| *count >= least).await;
}

fn programs(config: &Config, told: Option<&Path>) -> Result<Programs, BinaryError> {
    let needed = config.cores.iter().any(|core| core.upf.is_some());
    let coeur_upf = if needed { Some(find_user_plane(told)?) } else { None };
    Ok(Programs { coeur: binaries::own()?, coeur_upf })
}

/// Makes the data directory, and takes it: one platform at a time.
fn prepare(config: &Config) -> Result<std::fs::File, UpError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| UpError::Io { path, source }
    };
    // Cores that run as another user must be able to pass through, not to look. What is secret has a mode of its own.
    // SAFETY: umask() takes a number and cannot fail.
    unsafe { libc::umask(0o022) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o711);
    for folder in ["cores", "user-planes"] {
        let folder = config.data_dir.join(folder);
        builder.create(&folder).map_err(io(&folder))?;
    }
    let path = config.data_dir.join("lock");
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
    // SAFETY: flock() takes numbers only, and the descriptor is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(file);
    }
    let error = std::io::Error::last_os_error();
    match error.kind() {
        std::io::ErrorKind::WouldBlock => Err(UpError::InUse(config.data_dir.clone())),
        _ => Err(io(&path)(error)),
    }
}

/// Another user is for root to choose.
fn user(config: &Config) -> Result<Option<User>, UpError> {
    // SAFETY: geteuid() takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    match &config.user {
        Some(name) if root => match User::find(name)? {
            Some(user) => Ok(Some(user)),
            None => Err(UpError::User(name.clone())),
        },
        _ => Ok(None),
    }
}

async fn listen(listen: SocketAddr) -> Result<TcpListener, UpError> {
    if !listen.ip().is_loopback() {
        tracing::warn!(%listen, "the operator API is served beyond this machine, and without TLS: put a proxy before it");
    }
    TcpListener::bind(listen).await.map_err(|source| UpError::Listen { listen, source })
}

/// Waits until every child is ready. None: the state is gone.
async fn wait_until_ready(state: &State, config: &Config, api: SocketAddr, started: Instant) -> Option<Report> {
    let mut changes = state.subscribe();
    let mut impatient = Box::pin(tokio::time::sleep(PATIENCE));
    let mut said = false;
    loop {
        changes.borrow_and_update();
        let children = state.children();
        let missing: Vec<_> = children
            .iter()
            .filter(|(_, child)| child.state != ProcessState::Ready)
            .map(|(id, _)| id.to_string())
            .collect();
        if missing.is_empty() {
            return Some(report(state, config, api, started));
        }
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            () = &mut impatient, if !said => {
                said = true;
                tracing::warn!(missing = missing.join(", "), "still not ready after {} s", PATIENCE.as_secs());
            }
        }
    }
}

fn report(state: &State, config: &Config, api: SocketAddr, started: Instant) -> Report {
    let children = state.children();
    let of =
        |name: &str, kind| children.iter().find(|(id, _)| id.core == name && id.kind == kind).map(|(_, child)| child);
    let core = |name: &str| {
        let (core, user_plane) = (of(name, ProcessKind::Core), of(name, ProcessKind::UserPlane));
        CoreReport {
            name: name.to_owned(),
            core_ms: core.and_then(|child| child.ready_after_ms).unwrap_or_default(),
            user_plane_ms: user_plane.and_then(|child| child.ready_after_ms),
            core: core.and_then(|child| child.ready_line.clone()),
            user_plane: user_plane.and_then(|child| child.ready_line.clone()),
        }
    };
    Report {
        event: "ready",
        ready_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        api: format!("http://{api}"),
        token_file: config.token_file(),
        cores: config.cores.iter().map(|config| core(&config.name)).collect(),
    }
}
