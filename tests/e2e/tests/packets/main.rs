//! Real binaries, real packets, in namespaces that each test makes for itself.
//!
//! Without root every test says why it is skipped, and passes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

/// Ends the test, saying why, where real packets cannot be sent.
macro_rules! packets_or_return {
    () => {
        if let Some(why) = coeur_e2e::missing() {
            eprintln!("skipped: {why}");
            return;
        }
    };
}

mod garbage;
mod guest;
mod operation;
mod registration;
mod restart;
mod traffic;

use coeur_e2e::{Binaries, Lifetime, Path, Phones, RanOptions, Running, ping};

/// A core with `count` subscribers, and as many phones with a session each.
pub(crate) fn core_with_phones(path: Path, count: u32) -> (Phones, Running) {
    let binaries = Binaries::find().unwrap();
    let running = Running::start(&binaries, path, Lifetime::Guarded).unwrap();
    running.import(&coeur_e2e::subscribers(count)).unwrap();
    let mut phones = running.phones(&RanOptions::holding(count)).unwrap();
    if let Err(error) = phones.wait_attached() {
        panic!("{error:#}\ncoeur up:\n{}", running.up.tail());
    }
    assert_eq!((phones.registered, phones.sessions.len() as u32), (count, count));
    (phones, running)
}

/// Pings both ways between each phone and the data network: how many were lost.
pub(crate) fn lost_pings(running: &Running, phones: &Phones, count: u16) -> u32 {
    let (lab, mut all) = (&running.lab, ping::Report::default());
    for phone in &phones.sessions {
        let from = Some((phone.address, phone.device.as_str()));
        let up = ping::Options { from, count, ..ping::Options::to(lab.addresses.dn) };
        all.add(&ping::run(&lab.ran, &up).unwrap());
        all.add(&ping::run(&lab.dn, &ping::Options { count, ..ping::Options::to(phone.address) }).unwrap());
    }
    assert_eq!(all.sent, phones.sessions.len() as u32 * u32::from(count) * 2);
    all.lost()
}
