//! What phones do once they have a session.

use coeur_e2e::{Lab, Phone, ping, tcp};
use std::time::Duration;

const PINGS: u16 = 5;
/// Long enough for TCP to leave slow start; both directions.
const TRANSFER: Duration = Duration::from_secs(3);

/// Pings the data network from each phone, and each phone from the data network.
pub(super) fn ping(lab: &Lab, phones: &[Phone]) -> anyhow::Result<ping::Report> {
    let mut all = ping::Report::default();
    for phone in phones {
        let from = Some((phone.address, phone.device.as_str()));
        let options = ping::Options { from, count: PINGS, ..ping::Options::to(lab.addresses.dn) };
        all.add(&ping::run(&lab.ran, &options)?);
        let options = ping::Options { count: PINGS, ..ping::Options::to(phone.address) };
        all.add(&ping::run(&lab.dn, &options)?);
    }
    Ok(all)
}

/// Megabit a second up and down, of one phone.
pub(super) fn tcp(lab: &Lab, phones: &[Phone]) -> anyhow::Result<(f64, f64)> {
    let phone = phones.first().ok_or_else(|| anyhow::anyhow!("no phone has a session"))?;
    let source = tcp::Source { address: phone.address, device: &phone.device };
    let ends = tcp::Ends { phone: &lab.ran, source, network: &lab.dn, server: lab.addresses.dn };
    let up = tcp::transfer(&ends, tcp::Direction::Up, TRANSFER)?;
    let down = tcp::transfer(&ends, tcp::Direction::Down, TRANSFER)?;
    Ok((up.mbps(), down.mbps()))
}
