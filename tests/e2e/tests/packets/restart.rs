//! What dies comes back, and nobody has to register again.

use crate::{core_with_phones, lost_pings};
use coeur_e2e::{Path, Phones, Running};
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

fn wait_for_traffic(running: &Running, phones: &Phones) {
    let end = Instant::now() + BACK_MAX;
    while lost_pings(running, phones, 1) > 0 {
        assert!(Instant::now() < end, "no traffic:\n{}", running.up.tail());
    }
}

/// The association to the gNB dies with the core, and NG Setup erases what the gNB knew of its phones (TS 38.413, 8.7.1.1):
/// they are in CM-IDLE then, and what they send brings them back by a service request. Nothing more may happen to them.
#[test]
fn a_killed_core_comes_back_with_its_phones_and_nobody_registers_again() {
    packets_or_return!();
    let (mut phones, running) = core_with_phones(Path::Auto, 3);
    kill_child(&running, &["coeur", "core"]);
    wait_for_sessions(&running, 3);
    wait_for_traffic(&running, &phones);
    assert_eq!(lost_pings(&running, &phones, 5), 0, "{}", running.up.tail());
    let renewed = running.up.log().lines().filter(|line| line.contains("retained=3 ended=0")).count();
    assert_eq!(renewed, 1, "the user plane kept the sessions:\n{}", running.up.tail());
    let mut seen = Vec::new();
    while let Ok(Some((_, event))) = phones.events.next(Instant::now() + Duration::from_millis(50)) {
        seen.push(event);
    }
    let again = |event: &&serde_json::Value| {
        matches!(
            event["event"].as_str(),
            Some("registered" | "failed" | "session" | "session-released" | "deregistered")
        )
    };
    assert_eq!(seen.iter().find(again), None, "{seen:#?}");
}

#[test]
fn a_killed_user_plane_is_adopted_by_the_next_and_traffic_never_stops() {
    packets_or_return!();
    let (phones, running) = core_with_phones(Path::Auto, 3);
    kill_child(&running, &["coeur-upf"]);
    assert_eq!(lost_pings(&running, &phones, 20), 0, "programs and tables are pinned:\n{}", running.up.tail());
    wait_for_sessions(&running, 3);
    assert_eq!(lost_pings(&running, &phones, 3), 0, "{}", running.up.tail());
}
