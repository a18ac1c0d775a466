//! What dies comes back, and nobody has to register again.

use crate::{core_with_phones, lost_pings};
use coeur_e2e::{Path, Running};
use std::time::{Duration, Instant};

/// Until the platform has started a child anew and the interfaces work again.
const BACK_MAX: Duration = Duration::from_secs(15);

/// Kills the child that `words` name and waits for the next one.
fn kill_child(running: &Running, words: &[&str]) {
    let before = running.child(words).unwrap();
    assert_eq!(unsafe_kill(before), 0);
    let end = Instant::now() + BACK_MAX;
    loop {
        match running.child(words) {
            Ok(after) if after != before => return,
            _ if Instant::now() > end => panic!("{words:?} was not started again:\n{}", running.up.tail()),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn unsafe_kill(pid: u32) -> i32 {
    // SAFETY: no pointers; the process is a descendant of one that this test started.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) }
}

/// Registered phones and sessions, as the core counts them.
fn sessions(running: &Running) -> usize {
    let listed = running.coeur_json(&["session", "list"]).map(|list| list.to_string()).unwrap_or_default();
    listed.matches("10.45.").count()
}

fn wait_for_sessions(running: &Running, count: usize) {
    let end = Instant::now() + BACK_MAX;
    while sessions(running) != count {
        assert!(Instant::now() < end, "{} of {count} sessions:\n{}", sessions(running), running.up.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_core_comes_back_with_its_phones_and_their_traffic_never_stops() {
    packets_or_return!();
    let (phones, running) = core_with_phones(Path::Auto, 3);
    kill_child(&running, &["coeur", "core"]);
    assert_eq!(lost_pings(&running, &phones, 10), 0, "packets do not pass through the core");
    wait_for_sessions(&running, 3);
    assert_eq!(lost_pings(&running, &phones, 3), 0);
}

#[test]
fn a_killed_user_plane_comes_back_with_its_sessions() {
    packets_or_return!();
    let (phones, running) = core_with_phones(Path::Auto, 3);
    kill_child(&running, &["coeur-upf"]);
    wait_for_sessions(&running, 3);
    let end = Instant::now() + BACK_MAX;
    while lost_pings(&running, &phones, 1) > 0 {
        assert!(Instant::now() < end, "no traffic:\n{}", running.up.tail());
    }
    assert_eq!(lost_pings(&running, &phones, 3), 0);
}
