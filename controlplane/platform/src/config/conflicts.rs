//! What two cores of one platform cannot both have.

use super::Config;
use super::locate::Place;
use coeur_model::config::{CoreConfig, Ipv4Pool};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// A second claim to something, at the place of the second.
pub(super) struct Conflict {
    pub(super) place: Vec<Place<'static>>,
    pub(super) message: String,
}

pub(super) fn check(config: &Config) -> Result<(), Conflict> {
    let mut claims = Claims::default();
    claims.port(
        "TCP",
        config.api.listen.ip(),
        config.api.listen.port(),
        vec![Place::Key("api"), Place::Key("listen")],
    )?;
    for (index, core) in config.cores.iter().enumerate() {
        let at = |fields: &[&'static str]| {
            let start = [Place::Key("core"), Place::Index(index)];
            start.into_iter().chain(fields.iter().copied().map(Place::Key)).collect::<Vec<_>>()
        };
        claims.once(format!("the name {}", core.name), at(&["name"]))?;
        claims.port("SCTP", core.n2.address, core.n2.port, at(&["n2", "address"]))?;
        claims.port("UDP", core.n4.local.ip(), core.n4.local.port(), at(&["n4", "local"]))?;
        claims.port("TCP", core.metrics.ip(), core.metrics.port(), at(&["metrics"]))?;
        pools(core, &at)?;
        if let Some(upf) = &core.upf {
            claims.port("UDP", core.n4.upf.ip(), core.n4.upf.port(), at(&["n4", "upf"]))?;
            claims.port("TCP", upf.metrics.ip(), upf.metrics.port(), at(&["upf", "metrics"]))?;
            // A program takes a whole interface, so one user plane cannot share its interface with another.
            claims.once(format!("the interface {}", upf.n3.interface), at(&["upf", "n3", "interface"]))?;
            if upf.n6.interface != upf.n3.interface {
                claims.once(format!("the interface {}", upf.n6.interface), at(&["upf", "n6", "interface"]))?;
            }
        }
    }
    Ok(())
}

/// Two data networks of one core share a user plane, so an address belongs to one of them.
fn pools(core: &CoreConfig, at: &impl Fn(&[&'static str]) -> Vec<Place<'static>>) -> Result<(), Conflict> {
    for (index, dnn) in core.dnns.iter().enumerate() {
        if let Some(other) = core.dnns[..index].iter().find(|other| overlap(&other.pool, &dnn.pool)) {
            let mut place = at(&["dnn"]);
            place.extend([Place::Index(index), Place::Key("pool")]);
            let message = format!("expected a pool apart from {} of {}, got {}", other.pool, other.name, dnn.pool);
            return Err(Conflict { place, message });
        }
    }
    Ok(())
}

fn overlap(a: &Ipv4Pool, b: &Ipv4Pool) -> bool {
    let mask = u32::MAX << (32 - u32::from(a.prefix().min(b.prefix())));
    u32::from(a.network()) & mask == u32::from(b.network()) & mask
}

/// What is taken already, and by which field.
#[derive(Default)]
struct Claims {
    taken: BTreeMap<String, String>,
    ports: Vec<(&'static str, IpAddr, u16, String)>,
}

impl Claims {
    fn once(&mut self, what: String, place: Vec<Place<'static>>) -> Result<(), Conflict> {
        let path = super::locate::path(&place);
        match self.taken.get(&what) {
            Some(by) => Err(Conflict { place, message: format!("{what} is taken by {by}") }),
            None => {
                self.taken.insert(what, path);
                Ok(())
            }
        }
    }

    /// Port 0 is a different one each time; 0.0.0.0 is every address.
    fn port(
        &mut self,
        protocol: &'static str,
        ip: IpAddr,
        port: u16,
        place: Vec<Place<'static>>,
    ) -> Result<(), Conflict> {
        let any = |ip: &IpAddr| *ip == IpAddr::from(Ipv4Addr::UNSPECIFIED) || ip.is_unspecified();
        let same = |other: &IpAddr| *other == ip || any(other) || any(&ip);
        let taken = self.ports.iter().find(|(p, i, n, _)| *p == protocol && *n == port && port != 0 && same(i));
        if let Some((_, _, _, by)) = taken {
            let message = format!("{protocol} port {port} of {ip} is taken by {by}");
            return Err(Conflict { place, message });
        }
        self.ports.push((protocol, ip, port, super::locate::path(&place)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{MINIMAL, two_cores};

    #[test]
    fn what_two_cores_cannot_share_is_refused_at_the_second() {
        let text = two_cores();
        for (from, to, says) in [
            ("\"mine\"", "\"plant\"", "core[1].name: the name plant is taken by core[0].name"),
            ("10.0.0.2", "10.0.0.1", "core[1].n2.address: SCTP port 38412 of 10.0.0.1 is taken by core[0].n2.address"),
            ("10.0.0.2", "0.0.0.0", "core[1].n2.address: SCTP port 38412"),
            ("127.0.0.2:8805", "127.0.0.1:8805", "core[1].n4.local: UDP port 8805"),
            ("127.0.0.1:9191", "127.0.0.1:9091", "core[1].metrics: TCP port 9091"),
            ("127.0.0.1:9191", "127.0.0.1:8080", "core[1].metrics: TCP port 8080 of 127.0.0.1 is taken by api.listen"),
        ] {
            let fault = Config::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(fault.contains(says), "{says:?} not in {fault:?}");
        }
    }

    #[test]
    fn overlapping_pools_of_one_core_are_refused() {
        let more = "\n[[core.dnn]]\nname = \"ims\"\npool = \"10.45.128.0/20\"\n";
        let fault = Config::from_toml(&format!("{MINIMAL}{more}")).unwrap_err().to_string();
        assert!(fault.contains("26:8: core[0].dnn[1].pool: expected a pool apart from 10.45.0.0/16"), "{fault}");
        Config::from_toml(&format!("{MINIMAL}{}", more.replace("10.45.128", "10.46.128"))).unwrap();
    }

    #[test]
    fn two_user_planes_do_not_share_an_interface() {
        let upf = |n: u8| {
            format!(
                "upf = {{ metrics = \"127.0.0.1:92{n:02}\", n3 = {{ interface = \"n3\", address = \"10.0.0.{n}\" }}, \
                 n6 = {{ interface = \"n6-{n}\" }} }}\ntacs"
            )
        };
        let text = two_cores().replacen("tacs", &upf(1), 1);
        let (first, second) = text.split_at(text.find("\"mine\"").unwrap());
        let text = format!("{first}{}", second.replacen("tacs", &upf(2), 1));
        let fault = Config::from_toml(&text).unwrap_err().to_string();
        assert!(fault.contains("core[1].upf.n3.interface: the interface n3 is taken by core[0].upf.n3"), "{fault}");
    }
}
