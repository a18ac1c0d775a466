//! Whole days of a core in virtual time, from seeds.
//!
//! `COEUR_SIM_SEEDS=100000` runs that many; a failure names its seed, and `COEUR_SIM_SEED=<seed>` runs that one alone.

use coeur_ran::ue::{Event, RegistrationKind};
use coeur_sim::{Faults, Settings, World};
use std::time::Duration;

const SEEDS: u64 = 25;

/// Runs `scenario` for every seed, and says which one failed.
fn for_seeds(name: &str, scenario: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("COEUR_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("COEUR_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| scenario(seed)) {
            eprintln!("{name} failed with seed {seed}: COEUR_SIM_SEED={seed} repeats it");
            std::panic::resume_unwind(panic);
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn calm() -> Faults {
    Faults {
        n2_delay: Duration::from_millis(2),
        n4_delay: Duration::from_millis(1),
        commit_delay: Duration::from_millis(3),
        ..Faults::default()
    }
}

fn rough() -> Faults {
    Faults { n4_lost: 20, n4_repeated: 20, n4_delay: Duration::from_millis(700), ..calm() }
}

/// All phones on, each with a session.
fn attached(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.run_for(seconds(3));
    for ue in 0..settings.ues as usize {
        world.register(ue, RegistrationKind::Initial);
        world.establish(ue, 1);
    }
    world.run_for(seconds(60));
    world
}

fn assert_attached(world: &World, ues: usize) {
    for ue in 0..ues {
        assert!(world.is_registered(ue), "phone {ue} is not registered: {:?}", events_of(world, ue));
        assert_eq!(world.sessions(ue), 1, "phone {ue} has no session: {:?}", events_of(world, ue));
    }
}

fn events_of(world: &World, ue: usize) -> Vec<&Event> {
    world.ue_events.iter().filter(|(of, _)| *of == ue as u32).map(|(_, event)| event).collect()
}

#[test]
fn phones_register_and_get_sessions() {
    for_seeds("phones_register_and_get_sessions", |seed| {
        let world = attached(Settings { seed, gnbs: 2, ues: 20, faults: calm() });
        assert_attached(&world, 20);
        world.check();
    });
}

#[test]
fn a_bad_n4_delays_sessions_and_loses_none() {
    for_seeds("a_bad_n4_delays_sessions_and_loses_none", |seed| {
        let world = attached(Settings { seed, gnbs: 2, ues: 20, faults: rough() });
        world.check_after_loss();
        for ue in 0..20 {
            assert!(world.is_registered(ue), "N4 is no affair of a registration");
        }
    });
}

#[test]
fn idle_phones_come_back_with_their_sessions() {
    for_seeds("idle_phones_come_back_with_their_sessions", |seed| {
        let mut world = attached(Settings { seed, gnbs: 2, ues: 10, faults: calm() });
        for round in 0..3 {
            (0..10).for_each(|ue| world.idle(ue));
            world.run_for(seconds(5 + round));
            world.check();
            (0..10).for_each(|ue| world.request_service(ue));
            world.run_for(seconds(5));
            world.check();
        }
        assert_attached(&world, 10);
    });
}

#[test]
fn after_kill_9_the_same_phones_have_the_same_sessions() {
    for_seeds("after_kill_9_the_same_phones_have_the_same_sessions", |seed| {
        let mut world = attached(Settings { seed, gnbs: 2, ues: 10, faults: calm() });
        world.kill_core(seconds(2));
        world.run_for(seconds(10));
        world.check();
        assert_attached(&world, 10);
        (0..10).for_each(|ue| world.request_service(ue));
        world.run_for(seconds(30));
        assert_attached(&world, 10);
        world.check();
    });
}

#[test]
fn kill_9_in_the_middle_of_registrations_leaves_nothing_half_made() {
    for_seeds("kill_9_in_the_middle_of_registrations_leaves_nothing_half_made", |seed| {
        let mut world = World::new(Settings { seed, gnbs: 2, ues: 20, faults: calm() });
        world.run_for(seconds(3));
        for ue in 0..20 {
            world.register(ue, RegistrationKind::Initial);
            world.establish(ue, 1);
            let pause = Duration::from_micros(world.random().below(5_000));
            world.run_for(pause);
        }
        world.kill_core(Duration::from_millis(1 + seed * 37 % 900));
        // T3510 and T3511 bring back who was cut off (TS 24.501, 5.5.1.2.7), T3580 its session.
        world.run_for(seconds(300));
        world.check_after_loss();
        for ue in 0..20 {
            assert!(world.is_registered(ue), "phone {ue}: {:?}", events_of(&world, ue));
        }
    });
}

#[test]
fn a_broken_n2_makes_phones_idle_and_no_more() {
    for_seeds("a_broken_n2_makes_phones_idle_and_no_more", |seed| {
        let mut world = attached(Settings { seed, gnbs: 2, ues: 10, faults: calm() });
        world.break_n2((seed % 2) as usize);
        world.run_for(seconds(10));
        (0..10).for_each(|ue| world.request_service(ue));
        world.run_for(seconds(30));
        assert_attached(&world, 10);
        world.check();
    });
}

#[test]
fn whoever_leaves_leaves_nothing_behind() {
    for_seeds("whoever_leaves_leaves_nothing_behind", |seed| {
        let mut world = attached(Settings { seed, gnbs: 2, ues: 12, faults: calm() });
        for ue in 0..12 {
            match ue % 4 {
                0 => world.deregister(ue, false),
                1 => world.deregister(ue, true),
                2 => world.command_deregister(ue),
                _ => world.remove_subscriber(ue),
            }
        }
        world.run_for(seconds(120));
        world.check();
        for ue in (0..12).filter(|ue| ue % 4 < 2) {
            assert!(!world.is_registered(ue), "phone {ue}: {:?}", events_of(&world, ue));
        }
    });
}

#[test]
fn a_new_user_plane_gets_the_sessions_of_the_old_one() {
    for_seeds("a_new_user_plane_gets_the_sessions_of_the_old_one", |seed| {
        let mut world = attached(Settings { seed, gnbs: 1, ues: 10, faults: calm() });
        world.replace_upf();
        world.run_for(seconds(120));
        world.check();
    });
}

/// Everything at once, for an hour.
#[test]
fn an_hour_of_everything() {
    for_seeds("an_hour_of_everything", |seed| {
        let ues = 12;
        let mut world = attached(Settings { seed, gnbs: 3, ues, faults: rough() });
        for _ in 0..240 {
            let ue = world.random().below(ues.into()) as usize;
            match world.random().below(10) {
                0 | 1 => world.register(ue, RegistrationKind::Initial),
                2 => world.register(ue, RegistrationKind::Mobility),
                3 => world.establish(ue, 1),
                4 => world.release(ue, 1),
                5 => world.idle(ue),
                6 => world.request_service(ue),
                7 => world.deregister(ue, false),
                8 => world.break_n2(ue % 3),
                _ if world.random().chance(20) => world.kill_core(seconds(1)),
                _ => world.command_deregister(ue),
            }
            let pause = world.random().up_to(seconds(30));
            world.run_for(pause);
        }
        world.run_for(seconds(600));
        // A phone that was idle when it was deregistered hears of it when it next speaks (TS 24.501, 5.6.1.5, #10).
        (0..ues as usize).for_each(|ue| world.request_service(ue));
        world.run_for(seconds(120));
        world.check_after_loss();
    });
}
