//! Asks the kernel about one interface: `coeur nic probe`.

use std::io;

use serde::Serialize;

use super::{
    choose::{PathKind, by_driver},
    ethtool,
};
use crate::netlink::{
    Socket,
    genl::{XdpFeatures, xdp_features},
    rt::{self, Event, Link},
};

/// What was found out about an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NicReport {
    pub interface: String,
    pub ifindex: u32,
    /// Unknown for devices without a driver of their own.
    pub driver: Option<String>,
    pub mtu: u32,
    pub up: bool,
    /// What the driver advertises; none if the kernel (before 6.3) does not tell.
    pub xdp_features: Option<Vec<&'static str>>,
    /// A program is attached already.
    pub has_xdp_program: bool,
    /// The way that would be chosen.
    pub path: PathKind,
    pub reason: String,
    /// Of a veth only.
    pub veth_peer: Option<VethPeer>,
}

/// The other end of a veth. Frames redirected into a veth are dropped unless its other end has an XDP program (or GRO on).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VethPeer {
    pub ifindex: u32,
    /// Its name, if it is in this network namespace.
    pub interface: Option<String>,
    /// Whether it takes redirected frames; unknown if the kernel does not tell.
    pub takes_redirected: Option<bool>,
}

/// Asks the kernel and the driver.
pub fn probe(interface: &str) -> io::Result<NicReport> {
    let link = link_by_name(interface)?;
    let driver = ethtool::driver(interface)?;
    let features = xdp_features(link.ifindex)?;
    let (path, reason) = by_driver(driver.as_deref().unwrap_or("this device"), features);
    let veth_peer = match (link.kind.as_str(), link.other_end) {
        ("veth", Some(peer)) => Some(veth_peer(peer, link.other_end_abroad, features)?),
        _ => None,
    };
    Ok(NicReport {
        interface: link.name,
        ifindex: link.ifindex,
        driver,
        mtu: link.mtu,
        up: link.up,
        xdp_features: features.map(XdpFeatures::names),
        has_xdp_program: link.has_xdp,
        path,
        reason,
        veth_peer,
    })
}

/// The feature "transmit" of a veth says that its other end takes what is transmitted.
fn veth_peer(ifindex: u32, abroad: bool, features: Option<XdpFeatures>) -> io::Result<VethPeer> {
    let here = if abroad { None } else { Some(link_by_index(ifindex)?) };
    let takes_redirected = match (features, &here) {
        (Some(features), _) => Some(features.has(XdpFeatures::NDO_XMIT)),
        (None, Some(link)) => Some(link.has_xdp),
        (None, None) => None,
    };
    Ok(VethPeer { ifindex, interface: here.map(|link| link.name), takes_redirected })
}

pub(crate) fn link_by_name(interface: &str) -> io::Result<Link> {
    link(&rt::ask_link(1, interface), |link| link.name == interface)
}

pub(crate) fn link_by_index(ifindex: u32) -> io::Result<Link> {
    link(&rt::dump_links(1), |link| link.ifindex == ifindex)
}

fn link(request: &[u8], wanted: impl Fn(&Link) -> bool) -> io::Result<Link> {
    let mut found = None;
    Socket::open(libc::NETLINK_ROUTE, 0)?.ask(request, 1, |message| {
        if let Some(Event::Link(link)) = rt::event(&message)
            && wanted(&link)
        {
            found = Some(link);
        }
    })?;
    found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_reported_and_gets_tc() {
        let report = probe("lo").unwrap();
        assert_eq!((report.interface.as_str(), report.path), ("lo", PathKind::Tc));
        assert_eq!(report.veth_peer, None);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["path"], "tc");
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert_eq!(probe("no-such-if").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
