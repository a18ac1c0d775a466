//! One child: started, listened to, signalled, and waited for.

use super::confine::{Confinement, give};
use super::log::{LogSink, pump};
use crate::desired::ChildSpec;
use crate::plan::ChildId;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, lchown};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long the pipes of a child that has ended are still read: what it started may hold them open.
const DRAIN: Duration = Duration::from_millis(200);

/// What a child's task says about it. `Ended` is the last.
#[derive(Debug)]
pub(crate) enum Report {
    /// Its ready line, if that is an object of JSON.
    Ready(serde_json::Value),
    Ended(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Kill,
}

/// A running child.
pub(crate) struct Handle {
    pub(crate) pid: Option<u32>,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Handle {
    /// The plan asks for each signal once, so two at most wait here.
    pub(crate) fn signal(&self, signal: Signal) {
        // If its task has ended, so has the child.
        let _ = self.signals.send(signal);
    }
}

/// Starts a child. Its task reports to `reports` until it has ended.
pub(crate) fn start(
    id: &ChildId,
    spec: &ChildSpec,
    sink: &LogSink,
    reports: mpsc::Sender<(ChildId, Report)>,
) -> io::Result<Handle> {
    prepare(spec)?;
    let (confinement, missing) = Confinement::new(spec.capabilities, spec.user)?;
    if missing.0 != 0 {
        tracing::warn!(child = %id, missing = missing.names(), "the platform lacks privileges that this child needs");
    }
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What is to be logged is said to all alike; the user plane knows the variable by its usual name.
    if let (Some(filter), None) = (std::env::var_os("COEUR_LOG"), std::env::var_os("RUST_LOG")) {
        command.env("RUST_LOG", filter);
    }
    // A group of its own: Ctrl-C is for the platform, which stops its children in order.
    command.process_group(0).kill_on_drop(true);
    // SAFETY: `apply` makes system calls only: it allocates nothing and takes no lock (async-signal-safe).
    unsafe { command.pre_exec(move || confinement.apply()) };
    let child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", spec.program.display())))?;
    let pid = child.id();
    let (signals, orders) = mpsc::unbounded_channel();
    tokio::spawn(attend(child, id.clone(), sink.clone(), orders, reports));
    Ok(Handle { pid, signals })
}

/// Folders and file of a child. What the platform writes as root is never in a folder that the child may write to.
fn prepare(spec: &ChildSpec) -> io::Result<()> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    let folder =
        |path: &Path, mode| std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(at(path));
    folder(&spec.dir, 0o711)?;
    let (path, content) = &spec.config;
    // Written beside and renamed: whoever reads sees the old file or the new one.
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(at(&beside))?;
    file.write_all(content.as_bytes()).map_err(at(&beside))?;
    if let Some(user) = spec.user {
        lchown(&beside, Some(user.uid), Some(user.gid)).map_err(at(&beside))?;
    }
    std::fs::rename(&beside, path).map_err(at(path))?;
    for own in &spec.own_dirs {
        folder(own, 0o700)?;
        if let Some(user) = spec.user {
            give(own, user).map_err(at(own))?;
        }
    }
    Ok(())
}

async fn attend(
    mut child: Child,
    id: ChildId,
    sink: LogSink,
    mut orders: mpsc::UnboundedReceiver<Signal>,
    reports: mpsc::Sender<(ChildId, Report)>,
) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (ready, mut ready_line) = mpsc::channel(1);
    let listen = async {
        let keep = |line: &[u8]| match ready_object(line) {
            // One line is enough; the channel holds it.
            Some(object) => ready.try_send(object).is_ok(),
            None => false,
        };
        let stdout = async {
            match stdout {
                Some(stdout) => pump(BufReader::new(stdout), &id, &sink, keep).await,
                None => Ok(()),
            }
        };
        let stderr = async {
            match stderr {
                Some(stderr) => pump(BufReader::new(stderr), &id, &sink, |_| false).await,
                None => Ok(()),
            }
        };
        // A pipe that cannot be read any more ends like one that was closed.
        let _ = tokio::join!(stdout, stderr);
    };
    let mut listen = std::pin::pin!(listen);
    let mut listening = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut listen, if listening => listening = false,
            Some(object) = ready_line.recv() => {
                let _ = reports.send((id.clone(), Report::Ready(object))).await;
            }
            Some(order) = orders.recv() => signal(&child, order),
        }
    };
    if listening {
        let _ = tokio::time::timeout(DRAIN, listen).await;
    }
    let _ = reports.send((id.clone(), Report::Ended(describe(status)))).await;
}

/// `{"event":"ready", ...}`: what `coeur core` and `coeur-upf` print when they serve.
fn ready_object(line: &[u8]) -> Option<serde_json::Value> {
    let object: serde_json::Value = serde_json::from_slice(line).ok()?;
    (object["event"] == "ready").then_some(object)
}

fn signal(child: &Child, order: Signal) {
    // None: it was waited for, and its number may be somebody else's.
    let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) else { return };
    let number = match order {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
    };
    // SAFETY: kill() takes numbers only; the child is not yet waited for, so the number is still its own.
    unsafe { libc::kill(pid, number) };
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Err(error) => format!("unknown: {error}"),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".into(),
        },
    }
}
