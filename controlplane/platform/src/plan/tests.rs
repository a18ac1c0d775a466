use super::*;
use proptest::prelude::*;

const CORES: [&str; 3] = ["a", "b", "c"];

fn id(core: &str, kind: ProcessKind) -> ChildId {
    ChildId { core: core.into(), kind }
}

fn core(name: &str) -> ChildId {
    id(name, ProcessKind::Core)
}

fn user_plane(name: &str) -> ChildId {
    id(name, ProcessKind::UserPlane)
}

/// Carries a plan out on processes that always start, and end as told.
fn apply(plan: Plan, desired: &Desired, observed: &mut Observed, now: Instant) {
    for action in plan.actions {
        match action {
            Action::Start(id) => {
                let phase = Phase::started(observed.get(&id).copied(), desired[&id], now);
                observed.insert(id, phase);
            }
            Action::Stop(id) => _ = observed.insert(id, Phase::Stopping { since: now, killed: false }),
            Action::Kill(id) => _ = observed.insert(id, Phase::Stopping { since: now, killed: true }),
            Action::Forget(id) => _ = observed.remove(&id),
        }
    }
}

fn end(observed: &mut Observed, id: &ChildId, now: Instant) {
    match observed.get(id).and_then(|phase| phase.ended(now)) {
        Some(phase) => _ = observed.insert(id.clone(), phase),
        None => _ = observed.remove(id),
    }
}

#[test]
fn what_is_wanted_and_not_there_is_started_once() {
    let now = Instant::now();
    let desired = Desired::from([(core("a"), Version(1)), (user_plane("a"), Version(1))]);
    let mut observed = Observed::new();
    let first = plan(&desired, &observed, now);
    assert_eq!(first.actions, [Action::Start(core("a")), Action::Start(user_plane("a"))]);
    apply(first, &desired, &mut observed, now);
    assert_eq!(plan(&desired, &observed, now), Plan::default());
}

#[test]
fn what_ends_by_itself_waits_longer_each_time_and_anew_after_a_stable_run() {
    let mut now = Instant::now();
    let desired = Desired::from([(core("a"), Version(1))]);
    let mut observed = Observed::new();
    let mut pauses = Vec::new();
    for run in [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 59, 60] {
        let started = plan(&desired, &observed, now);
        assert_eq!(started.actions, [Action::Start(core("a"))]);
        apply(started, &desired, &mut observed, now);
        now += Duration::from_secs(run);
        end(&mut observed, &core("a"), now);
        let waiting = plan(&desired, &observed, now);
        assert!(waiting.actions.is_empty());
        pauses.push((waiting.wake.unwrap() - now).as_millis());
        now = waiting.wake.unwrap();
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 100]);
    assert_eq!(pause(u32::MAX), PAUSE_MAX);
}

#[test]
fn what_does_not_stop_is_killed_once() {
    let now = Instant::now();
    let mut observed = Observed::from([(core("a"), Phase::started(None, Version(1), now))]);
    let none = Desired::new();
    let stop = plan(&none, &observed, now);
    assert_eq!(stop.actions, [Action::Stop(core("a"))]);
    apply(stop, &none, &mut observed, now);
    let wait = plan(&none, &observed, now);
    assert_eq!((wait.actions.len(), wait.wake), (0, Some(now + STOP_LIMIT)));
    let kill = plan(&none, &observed, now + STOP_LIMIT);
    assert_eq!(kill.actions, [Action::Kill(core("a"))]);
    apply(kill, &none, &mut observed, now + STOP_LIMIT);
    assert_eq!(plan(&none, &observed, now + 10 * STOP_LIMIT), Plan::default());
    end(&mut observed, &core("a"), now + STOP_LIMIT);
    assert!(observed.is_empty());
}

#[test]
fn a_user_plane_outlives_its_core_by_a_moment() {
    let now = Instant::now();
    let running = Phase::started(None, Version(1), now);
    let mut observed = Observed::from([(core("a"), running), (user_plane("a"), running)]);
    let none = Desired::new();
    let first = plan(&none, &observed, now);
    assert_eq!(first.actions, [Action::Stop(core("a"))]);
    apply(first, &none, &mut observed, now);
    assert!(plan(&none, &observed, now).actions.is_empty());
    end(&mut observed, &core("a"), now);
    assert_eq!(plan(&none, &observed, now).actions, [Action::Stop(user_plane("a"))]);
}

#[test]
fn a_child_that_is_to_run_otherwise_is_stopped_and_started_without_a_pause() {
    let now = Instant::now();
    let mut observed = Observed::from([(core("a"), Phase::started(None, Version(1), now))]);
    let desired = Desired::from([(core("a"), Version(2))]);
    let stop = plan(&desired, &observed, now);
    assert_eq!(stop.actions, [Action::Stop(core("a"))]);
    apply(stop, &desired, &mut observed, now);
    end(&mut observed, &core("a"), now);
    assert_eq!(plan(&desired, &observed, now).actions, [Action::Start(core("a"))]);
}

#[test]
fn a_child_that_waits_and_is_no_longer_wanted_is_forgotten() {
    let now = Instant::now();
    let observed = Observed::from([(core("a"), Phase::Waiting { until: now + PAUSE_MAX, failures: 9 })]);
    assert_eq!(plan(&Desired::new(), &observed, now).actions, [Action::Forget(core("a"))]);
}

fn any_id() -> impl Strategy<Value = ChildId> {
    (prop::sample::select(&CORES[..]), any::<bool>())
        .prop_map(|(name, is_core)| if is_core { core(name) } else { user_plane(name) })
}

fn any_desired() -> impl Strategy<Value = Desired> {
    prop::collection::btree_map(any_id(), (0u64..3).prop_map(Version), 0..6)
}

fn any_phase(base: Instant) -> impl Strategy<Value = Phase> {
    let at = move |ms: u64| base + Duration::from_millis(ms);
    prop_oneof![
        (0u64..3, 0u64..200_000, 0u32..40).prop_map(move |(version, ms, failures)| Phase::Running {
            version: Version(version),
            since: at(ms),
            failures
        }),
        (0u64..200_000, 0u32..40).prop_map(move |(ms, failures)| Phase::Waiting { until: at(ms), failures }),
        (0u64..200_000, any::<bool>()).prop_map(move |(ms, killed)| Phase::Stopping { since: at(ms), killed }),
    ]
}

/// What happens to processes from outside, in one step.
#[derive(Clone, Debug)]
enum Fate {
    Pass(u64),
    Crash(ChildId),
    Want(Desired),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![(0u64..40_000).prop_map(Fate::Pass), any_id().prop_map(Fate::Crash), any_desired().prop_map(Fate::Want),]
}

proptest! {
    /// One core's children never change what is done about another's.
    #[test]
    fn cores_do_not_matter_to_each_other(
        desired in any_desired(),
        phases in prop::collection::btree_map(any_id(), any_phase(Instant::now()), 0..6),
        ms in 0u64..400_000,
    ) {
        let now = Instant::now() + Duration::from_millis(ms);
        let whole = plan(&desired, &phases, now).actions;
        let of = |action: &Action| match action {
            Action::Start(id) | Action::Stop(id) | Action::Kill(id) | Action::Forget(id) => id.core.clone(),
        };
        for name in CORES {
            let desired = desired.iter().filter(|(id, _)| id.core == name).map(|(id, v)| (id.clone(), *v)).collect();
            let phases = phases.iter().filter(|(id, _)| id.core == name).map(|(id, p)| (id.clone(), *p)).collect();
            let alone = plan(&desired, &phases, now).actions;
            let within: Vec<_> = whole.iter().filter(|action| of(action) == name).cloned().collect();
            prop_assert_eq!(alone, within);
        }
    }

    /// Each action fits the phase that the child is in, and a child has one at most.
    #[test]
    fn no_action_is_absurd(
        desired in any_desired(),
        phases in prop::collection::btree_map(any_id(), any_phase(Instant::now()), 0..6),
        ms in 0u64..400_000,
    ) {
        let now = Instant::now() + Duration::from_millis(ms);
        let mut seen = std::collections::BTreeSet::new();
        let planned = plan(&desired, &phases, now);
        for action in &planned.actions {
            let (id, fits) = match action {
                Action::Start(id) => (id, desired.contains_key(id)
                    && matches!(phases.get(id), None | Some(Phase::Waiting { .. }))),
                Action::Stop(id) => (id, matches!(phases.get(id), Some(Phase::Running { .. }))),
                Action::Kill(id) => (id, matches!(phases.get(id), Some(Phase::Stopping { killed: false, .. }))),
                Action::Forget(id) => (id, !desired.contains_key(id)
                    && matches!(phases.get(id), Some(Phase::Waiting { .. }))),
            };
            prop_assert!(fits, "{action:?} in {:?}", phases.get(id));
            prop_assert!(seen.insert(id.clone()));
        }
        prop_assert!(planned.wake.is_none_or(|wake| wake > now), "a wake in the past is a busy loop");
    }

    /// Whatever happens, once it stops happening what is wanted is what runs, in bounded steps.
    #[test]
    fn it_settles(fates in prop::collection::vec(any_fate(), 0..40)) {
        let mut now = Instant::now();
        let (mut desired, mut observed) = (Desired::new(), Observed::new());
        for fate in fates {
            match fate {
                Fate::Pass(ms) => now += Duration::from_millis(ms),
                Fate::Crash(id) => end(&mut observed, &id, now),
                Fate::Want(wanted) => desired = wanted,
            }
            let planned = plan(&desired, &observed, now);
            apply(planned, &desired, &mut observed, now);
        }
        for _ in 0..20 {
            let stopping: Vec<_> =
                observed.iter().filter(|(_, p)| matches!(p, Phase::Stopping { .. })).map(|(id, _)| id.clone()).collect();
            stopping.iter().for_each(|id| end(&mut observed, id, now));
            let planned = plan(&desired, &observed, now);
            let wake = planned.wake;
            apply(planned, &desired, &mut observed, now);
            now = wake.unwrap_or(now);
        }
        let running: Desired = observed
            .iter()
            .filter_map(|(id, phase)| match phase {
                Phase::Running { version, .. } => Some((id.clone(), *version)),
                _ => None,
            })
            .collect();
        prop_assert_eq!(running.len(), observed.len());
        prop_assert_eq!(running, desired);
    }
}
