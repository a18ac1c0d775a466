//! Kernel SCTP and user-space SCTP, each on either side of N2. The kernel's is that of a guest.

use coeur_e2e::{
    Binaries, CONFIG, CoreFile, Guest, GuestNet, Lab, Lifetime, Path, Phones, RanOptions, Running, SUBSCRIBERS,
};
use serde_json::Value;
use std::{fs, net::Ipv4Addr, time::Duration};

const NET: GuestNet = GuestNet { tap: "tap0", host: Ipv4Addr::new(10, 30, 0, 1), guest: Ipv4Addr::new(10, 30, 0, 2) };
const PHONES: u32 = 3;
/// The guest is one slow processor, and other tests have run before on the same machine.
const ATTACH_MAX: Duration = Duration::from_secs(90);

macro_rules! guest_or_return {
    () => {
        if let Some(why) = Guest::missing() {
            eprintln!("skipped: {why}");
            return;
        }
    };
}

/// How many phones got a session, by the JSON lines of `coeur-ran`.
fn sessions(lines: &str) -> u32 {
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "session").count() as u32
}

fn enough(lines: &str) -> Option<()> {
    (sessions(lines) == PHONES).then_some(())
}

#[test]
fn phones_behind_kernel_sctp_register_at_a_core_with_user_space_sctp() {
    guest_or_return!();
    let binaries = Binaries::find().unwrap();
    let lab = Lab::create().unwrap();
    let options = RanOptions {
        amf: NET.host,
        gnb: NET.guest,
        tun: false,
        more: vec!["--sctp".into(), "kernel".into()],
        ..RanOptions::holding(PHONES)
    };
    // The tap is the core's N2, so the guest is booted first and waits for its go.
    let script = format!(
        "until [ -e go ]; do sleep 0.1; done\nexec {} {}\n",
        binaries.ran.display(),
        options.arguments(SUBSCRIBERS.as_ref()).join(" ")
    );
    let mut guest = Guest::boot(&lab.workdir, &lab.core, &NET, &script).unwrap();
    let file = CoreFile { n2: NET.host, sctp: "usrsctp", ..CoreFile::in_lab(&lab, Path::Auto) };
    let running = Running::in_lab(lab, &binaries, &file, Lifetime::Guarded).unwrap();
    let subscribers = coeur_e2e::subscribers(PHONES);
    running.import(&subscribers).unwrap();
    coeur_e2e::write_subscribers(&guest.share().join(SUBSCRIBERS), &subscribers).unwrap();
    fs::write(guest.share().join("go"), "").unwrap();
    guest
        .wait_for_output(ATTACH_MAX, enough)
        .unwrap_or_else(|error| panic!("{error:#}\ncoeur up:\n{}", running.up.tail()));
}

#[test]
fn phones_behind_user_space_sctp_register_at_a_core_with_kernel_sctp() {
    guest_or_return!();
    let binaries = Binaries::find().unwrap();
    let lab = Lab::create().unwrap();
    // The core in the guest, its user plane outside: N4 crosses the tap, N2 is routed through the core's namespace.
    let mut file = CoreFile { n2: NET.guest, sctp: "kernel", user_plane: false, ..CoreFile::in_lab(&lab, Path::Auto) };
    file.n4 = (NET.guest, NET.host);
    file.state = "/run/state".into();
    let script = format!(
        "coeur={}\nuntil [ -e {CONFIG} ]; do sleep 0.1; done\n$coeur up --config {CONFIG} &\n\
         until $coeur status --config {CONFIG} 2> not-ready; do sleep 0.2; done\n\
         $coeur subscriber import {SUBSCRIBERS} --config {CONFIG} && echo imported\nwait\n",
        binaries.coeur.display()
    );
    let mut guest = Guest::boot(&lab.workdir, &lab.core, &NET, &script).unwrap();
    let subscribers = coeur_e2e::subscribers(PHONES);
    for path in [guest.share().join(SUBSCRIBERS), lab.workdir.file(SUBSCRIBERS)] {
        coeur_e2e::write_subscribers(&path, &subscribers).unwrap();
    }
    fs::write(guest.share().join(CONFIG), file.to_toml()).unwrap();
    let _upf = lab.start_upf(&binaries, NET.host).unwrap();
    lab.ran.ip(&["route", "add", "10.30.0.0/24", "via", &lab.addresses.core_n3.to_string()]).unwrap();
    guest.wait_for_output(ATTACH_MAX, |output| output.contains("imported").then_some(())).unwrap();

    let more = vec!["--sctp".into(), "usrsctp".into()];
    let options = RanOptions { amf: NET.guest, tun: false, more, ..RanOptions::holding(PHONES) };
    let mut phones = Phones::start(&lab, &binaries, &options, Lifetime::Guarded).unwrap();
    phones.wait_attached().unwrap_or_else(|error| panic!("{error:#}\nthe guest:\n{}", guest.describe()));
}
