//! The supervisor on real processes: shells that behave as they are told.

use super::capabilities::{self, CapabilitySet};
use super::confine::User;
use super::log::LogSink;
use super::{Supervisor, capabilities::own};
use crate::desired::{ChildSpec, Specs};
use crate::metrics::Metrics;
use crate::plan::{ChildId, ProcessKind};
use crate::state::{Child, State};
use coeur_api::types::ProcessState;
use prometheus::Registry;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long anything here may take. Far more than it does: a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says that it is ready, and ends when told.
const GOOD: &str = r#"trap 'exit 0' TERM; echo '{"event":"ready","n":1}'; while :; do sleep 0.02; done"#;
/// Says that it is ready, and does not listen.
const DEAF: &str = r#"trap '' TERM; echo '{"event":"ready"}'; while :; do sleep 0.02; done"#;

struct Fixture {
    state: Arc<State>,
    registry: Registry,
    lines: Receiver<Vec<u8>>,
    stop: Option<oneshot::Sender<()>>,
    hurry: Option<oneshot::Sender<()>>,
    supervisor: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn id(core: &str, kind: ProcessKind) -> ChildId {
    ChildId { core: core.into(), kind }
}

fn core(name: &str) -> ChildId {
    id(name, ProcessKind::Core)
}

fn shell(dir: &std::path::Path, script: &str) -> ChildSpec {
    ChildSpec {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        dir: dir.to_owned(),
        config: (dir.join("core.toml"), "secret".into()),
        own_dirs: vec![dir.join("state")],
        capabilities: CapabilitySet::default(),
        user: None,
    }
}

impl Fixture {
    fn start(children: &[(ChildId, &str)]) -> Self {
        Self::start_specs(children, |_| {})
    }

    fn start_specs(children: &[(ChildId, &str)], change: impl Fn(&mut ChildSpec)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spec = |(id, script): &(ChildId, &str)| {
            let mut spec = shell(&dir.path().join(&id.core), script);
            change(&mut spec);
            (id.clone(), spec)
        };
        let specs: Specs = children.iter().map(spec).collect();
        let registry = Registry::new();
        let state = Arc::new(State::new(specs.keys().cloned(), Metrics::register(&registry).unwrap()));
        let (sink, lines) = LogSink::channel();
        let (stop, stopped) = oneshot::channel();
        let (hurry, hurried) = oneshot::channel();
        let supervisor = Supervisor::new(specs, sink, Arc::clone(&state));
        let wait = |receiver: oneshot::Receiver<()>| async move {
            if receiver.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let supervisor = tokio::spawn(supervisor.run(wait(stopped), wait(hurried)));
        Self { state, registry, lines, stop: Some(stop), hurry: Some(hurry), supervisor, _dir: dir }
    }

    async fn until(&self, id: &ChildId, what: impl Fn(&Child) -> bool) -> Child {
        let mut changes = self.state.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                match self.state.child(id) {
                    Some(child) if what(&child) => return child,
                    _ => changes.changed().await.unwrap(),
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("{id} is {:?}", self.state.child(id)))
    }

    async fn ready(&self, id: &ChildId) -> Child {
        self.until(id, |child| child.state == ProcessState::Ready).await
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn ended(&mut self) {
        tokio::time::timeout(PATIENCE, &mut self.supervisor).await.expect("it ends in time").unwrap();
    }

    fn pid(&self, id: &ChildId) -> u32 {
        self.state.summary(&id.core, String::new()).processes.iter().find(|p| p.kind == id.kind).unwrap().pid.unwrap()
    }

    fn figures(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

/// Zombies of others are gone, too: nobody can talk to them.
fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

async fn gone(pid: u32) -> bool {
    let end = Instant::now() + PATIENCE;
    while alive(pid) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    !alive(pid)
}

fn signal(pid: u32, number: i32) {
    // SAFETY: kill() takes numbers only; the process is a child of this test.
    unsafe { libc::kill(pid.try_into().unwrap(), number) };
}

#[tokio::test]
async fn children_are_ready_when_they_say_so_and_stop_when_told_the_core_first() {
    let user_plane = id("plant", ProcessKind::UserPlane);
    let mut fixture = Fixture::start(&[(core("plant"), GOOD), (user_plane.clone(), GOOD)]);
    let ready = fixture.ready(&core("plant")).await;
    assert_eq!(ready.ready_line.unwrap()["n"], 1);
    fixture.ready(&user_plane).await;
    assert!(fixture.figures().contains("coeur_platform_process_up{core=\"plant\",process=\"user-plane\"} 1"));
    let pids = [fixture.pid(&core("plant")), fixture.pid(&user_plane)];
    fixture.stop().await;
    let stopping = fixture.until(&user_plane, |child| child.state == ProcessState::Stopping).await;
    assert!(stopping.last_end.is_none() && !alive(pids[0]), "the user plane outlives its core");
    fixture.ended().await;
    assert!(!alive(pids[0]) && !alive(pids[1]));
    assert_eq!(fixture.state.child(&core("plant")).unwrap().last_end.as_deref(), Some("exit status 0"));
}

#[tokio::test]
async fn a_child_that_crashes_again_and_again_is_started_ever_more_rarely_and_touches_no_other_core() {
    let mut fixture = Fixture::start(&[(core("mine"), "exit 3"), (core("plant"), GOOD)]);
    fixture.ready(&core("plant")).await;
    let pid = fixture.pid(&core("plant"));
    let begun = Instant::now();
    let count = |fixture: &Fixture| fixture.state.summary("mine", String::new()).processes[0].restarts;
    while count(&fixture) < 3 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // 100 + 200 + 400 ms lie between the first start and the third restart.
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    let waiting = fixture.until(&core("mine"), |child| child.state == ProcessState::Waiting).await;
    assert_eq!(waiting.last_end.as_deref(), Some("exit status 3"));
    assert!(fixture.figures().contains("coeur_platform_process_restarts_total{core=\"mine\",process=\"core\"} 3"));
    assert!(fixture.figures().contains("coeur_platform_process_up{core=\"mine\",process=\"core\"} 0"));
    assert_eq!((fixture.pid(&core("plant")), alive(pid)), (pid, true));
    fixture.stop().await;
    fixture.ended().await;
}

#[tokio::test]
async fn a_killed_child_is_back_and_ready_again() {
    let mut fixture = Fixture::start(&[(core("plant"), GOOD)]);
    fixture.ready(&core("plant")).await;
    let first = fixture.pid(&core("plant"));
    signal(first, libc::SIGKILL);
    fixture.until(&core("plant"), |child| child.last_end.as_deref() == Some("signal 9")).await;
    fixture.ready(&core("plant")).await;
    assert_ne!(fixture.pid(&core("plant")), first);
    fixture.stop().await;
    fixture.ended().await;
}

#[tokio::test]
async fn who_does_not_listen_is_killed_in_a_hurry() {
    let mut fixture = Fixture::start(&[(core("plant"), DEAF)]);
    fixture.ready(&core("plant")).await;
    let pid = fixture.pid(&core("plant"));
    fixture.stop().await;
    fixture.until(&core("plant"), |child| child.state == ProcessState::Stopping).await;
    assert!(alive(pid));
    fixture.hurry.take().unwrap().send(()).unwrap();
    fixture.ended().await;
    assert_eq!(fixture.state.child(&core("plant")).unwrap().last_end.as_deref(), Some("signal 9"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_tried_again_and_said_to_be_missing() {
    let mut fixture = Fixture::start_specs(&[(core("plant"), "")], |spec| spec.program = "/nonexistent/coeur".into());
    let waiting = fixture.until(&core("plant"), |child| child.state == ProcessState::Waiting).await;
    assert!(waiting.last_end.unwrap().starts_with("not started: /nonexistent/coeur: "));
    fixture.stop().await;
    fixture.ended().await;
}

#[tokio::test]
async fn the_configuration_is_its_users_alone_and_lines_carry_the_childs_name() {
    use std::os::unix::fs::MetadataExt as _;
    let script = "stat -c %a . ; echo out; echo err >&2; exit 0";
    let mut fixture = Fixture::start(&[(core("plant"), script)]);
    fixture.until(&core("plant"), |child| child.last_end.is_some()).await;
    let lines: Vec<_> = fixture.lines.try_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    assert!(lines.contains(&"plant/core | out\n".into()) && lines.contains(&"plant/core | err\n".into()), "{lines:?}");
    let dir = fixture._dir.path().join("plant");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    let modes = [mode(&dir), mode(&dir.join("core.toml")), mode(&dir.join("state"))];
    assert_eq!(modes, [0o711, 0o600, 0o700]);
    fixture.stop().await;
    fixture.ended().await;
}

/// Values of /proc/<pid>/status of a child that keeps `wanted`.
async fn status_of(wanted: CapabilitySet, user: Option<User>) -> impl Fn(&str) -> String {
    let mut fixture = Fixture::start_specs(&[(core("plant"), GOOD)], |spec| {
        (spec.capabilities, spec.user) = (wanted, user);
    });
    fixture.ready(&core("plant")).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", fixture.pid(&core("plant")))).unwrap();
    fixture.stop().await;
    fixture.ended().await;
    move |name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
    }
}

fn hex(set: CapabilitySet) -> String {
    format!("{:016x}", set.0)
}

#[tokio::test]
async fn a_child_has_the_privileges_it_needs_and_can_get_no_other() {
    let own = own().unwrap();
    for wanted in
        [capabilities::of_core(false, 38412), capabilities::of_core(true, 38412), CapabilitySet(1 << 12 | 1 << 13)]
    {
        let kept = hex(wanted.and(own.permitted));
        let status = status_of(wanted, None).await;
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(set), kept, "{set}");
        }
        assert_eq!(status("NoNewPrivs"), "1");
        if own.effective.has(capabilities::CAP_SETPCAP) {
            assert_eq!(status("CapBnd"), kept);
        }
    }
}

/// Only root can become somebody else; elsewhere there is nothing to test.
#[tokio::test]
async fn a_core_may_be_another_user_keep_its_raw_socket_and_own_its_folders_but_not_its_configurations() {
    // SAFETY: geteuid() takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 || !own().unwrap().effective.has(capabilities::CAP_SETPCAP) {
        return;
    }
    let nobody = User { uid: 65_534, gid: 65_534 };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/db"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("state/link")).unwrap();
    super::confine::give(&dir.path().join("state"), nobody).unwrap();
    let owner = |path: &std::path::Path| std::os::unix::fs::MetadataExt::uid(&path.symlink_metadata().unwrap());
    assert_eq!(["state", "state/db", "state/link"].map(|name| owner(&dir.path().join(name))), [65_534; 3]);
    assert_eq!((owner("/etc/passwd".as_ref()), owner(dir.path())), (0, 0));

    let status = status_of(capabilities::of_core(true, 38412), Some(nobody)).await;
    assert_eq!(status("Uid"), "65534\t65534\t65534\t65534");
    assert_eq!((status("Gid"), status("Groups")), ("65534\t65534\t65534\t65534".into(), String::new()));
    assert_eq!((status("CapEff"), status("CapBnd")), (hex(CapabilitySet(1 << 13)), hex(CapabilitySet(1 << 13))));
}

/// Not a test of its own: what the next one starts, to kill it.
#[tokio::test]
async fn a_platform_to_be_killed() {
    if std::env::var_os(TO_BE_KILLED).is_none() {
        return;
    }
    let fixture = Fixture::start(&[(core("plant"), DEAF)]);
    fixture.ready(&core("plant")).await;
    println!("\nchild {}", fixture.pid(&core("plant")));
    std::future::pending::<()>().await;
}

const TO_BE_KILLED: &str = "COEUR_TEST_PLATFORM_TO_BE_KILLED";

#[tokio::test]
async fn no_child_outlives_a_platform_that_is_killed() {
    let mut platform = Command::new(std::env::current_exe().unwrap())
        .args(["driver::tests::a_platform_to_be_killed", "--exact", "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(platform.stdout.take().unwrap()).lines();
    let child = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("child ")?.parse::<u32>().ok());
    let child = child.expect("the platform starts its child");
    assert!(alive(child));
    platform.kill().unwrap();
    platform.wait().unwrap();
    assert!(gone(child).await, "child {child} lives on");
}
