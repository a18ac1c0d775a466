//! Phones register, and their packets take each of the three ways through the user plane.

use crate::{core_with_phones, lost_pings};
use coeur_e2e::{Path, scrape, tcp};
use std::time::Duration;

/// Registers phones, sends pings and TCP both ways, and looks where the user plane counted them.
fn traffic_takes(path: Path, label: &str) {
    let (phones, running) = core_with_phones(path, 3);
    assert_eq!(lost_pings(&running, &phones, 3), 0);
    for phone in &phones.sessions {
        let lab = &running.lab;
        let source = tcp::Source { address: phone.address, device: &phone.device };
        let ends = tcp::Ends { phone: &lab.ran, source, network: &lab.dn, server: lab.addresses.dn };
        for direction in [tcp::Direction::Up, tcp::Direction::Down] {
            let transfer = tcp::transfer(&ends, direction, Duration::from_millis(300)).unwrap();
            assert!(transfer.octets > 0, "{direction:?}");
        }
    }
    let samples = running.upf_samples().unwrap();
    let packets = scrape::sum(&samples, "coeur_upf_packets_total", &[&format!("path=\"{label}\"")]);
    // 3 phones, 3 pings, 2 ways, there and back: TCP comes on top.
    assert!(packets >= 36.0, "{packets} packets by {label}: {samples:#?}");
    let attached: Vec<_> =
        samples.keys().filter(|series| series.starts_with("coeur_upf_interface_path_info")).collect();
    let as_told = |series: &&&String| series.contains(&format!("path=\"{}\"", path.name()));
    assert_eq!(attached.iter().filter(as_told).count(), 2, "N3 and N6: {attached:?}");
}

#[test]
fn packets_take_native_xdp() {
    packets_or_return!();
    traffic_takes(Path::Xdp, "xdp");
}

#[test]
fn packets_take_tc() {
    packets_or_return!();
    traffic_takes(Path::Tc, "tc");
}

#[test]
fn packets_take_generic_xdp() {
    packets_or_return!();
    // The same programs, run by the kernel after the driver.
    traffic_takes(Path::Generic, "xdp");
}
