//! Registration alone, without a session.

use coeur_e2e::{Binaries, CoreFile, Lab, Lifetime, Path, RanOptions, Running};
use std::time::Duration;

/// A core whose user plane is somebody else's, and not there.
fn core_without_user_plane() -> Running {
    let lab = Lab::create().unwrap();
    let file = CoreFile { user_plane: false, ..CoreFile::in_lab(&lab, Path::Auto) };
    Running::in_lab(lab, &Binaries::find().unwrap(), &file, Lifetime::Guarded).unwrap()
}

#[test]
fn phones_register_and_deregister_while_no_user_plane_answers() {
    packets_or_return!();
    let running = core_without_user_plane();
    running.import(&coeur_e2e::subscribers(5)).unwrap();
    let options = RanOptions { more: vec!["--sessions=0".into(), "--deregister".into()], ..RanOptions::passing(5) };
    let mut phones = running.phones(&options).unwrap();
    let status = phones.process.wait(Duration::from_secs(60)).unwrap();
    assert!(status.success(), "{}\ncoeur up:\n{}", phones.process.tail(), running.up.tail());
}
