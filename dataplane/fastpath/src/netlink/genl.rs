//! Generic netlink family `netdev` (kernel 6.3 and newer): what a driver's XDP can do.

use std::io;

use super::{
    Socket,
    message::{Builder, NLM_F_ACK, attributes, u16_at, u64_at},
};

const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// `struct genlmsghdr`.
const HEADER: usize = 4;

/// `enum netdev_xdp_act`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct XdpFeatures(pub(crate) u64);

impl XdpFeatures {
    pub(crate) const BASIC: u64 = 0x01;
    pub(crate) const REDIRECT: u64 = 0x02;
    pub(crate) const NDO_XMIT: u64 = 0x04;

    const NAMES: [&'static str; 7] =
        ["basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg"];

    pub(crate) fn has(self, all: u64) -> bool {
        self.0 & all == all
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        let set = Self::NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        set.map(|(_, name)| *name).collect()
    }
}

/// The features of an interface; `None` if the kernel does not tell.
pub(crate) fn xdp_features(ifindex: u32) -> io::Result<Option<XdpFeatures>> {
    let mut socket = Socket::open(libc::NETLINK_GENERIC, 0)?;
    let Some(family) = family(&mut socket, "netdev")? else { return Ok(None) };
    let request = Builder::new(family, NLM_F_ACK, 2, &[NETDEV_CMD_DEV_GET, 1, 0, 0])
        .attribute(NETDEV_A_DEV_IFINDEX, &ifindex.to_ne_bytes())
        .finish();
    let mut features = None;
    let answer = socket.ask(&request, 2, |message| {
        features = attribute(message.payload, NETDEV_A_DEV_XDP_FEATURES).and_then(|value| u64_at(value, 0));
    });
    match answer {
        Ok(()) => Ok(features.map(XdpFeatures)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

fn family(socket: &mut Socket, name: &str) -> io::Result<Option<u16>> {
    let zero_ended = [name.as_bytes(), &[0]].concat();
    let request = Builder::new(GENL_ID_CTRL, NLM_F_ACK, 1, &[CTRL_CMD_GETFAMILY, 1, 0, 0])
        .attribute(CTRL_ATTR_FAMILY_NAME, &zero_ended)
        .finish();
    let mut id = None;
    let answer = socket.ask(&request, 1, |message| {
        id = attribute(message.payload, CTRL_ATTR_FAMILY_ID).and_then(|value| u16_at(value, 0));
    });
    match answer {
        Ok(()) => Ok(id),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn attribute(payload: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(payload.get(HEADER..)?).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_names() {
        let features = XdpFeatures(XdpFeatures::BASIC | XdpFeatures::NDO_XMIT);
        assert_eq!(features.names(), ["basic", "ndo-xmit"]);
        assert!(features.has(XdpFeatures::BASIC));
        assert!(!features.has(XdpFeatures::BASIC | XdpFeatures::REDIRECT));
    }

    /// The loopback has no XDP of its own, and every namespace has a loopback.
    #[test]
    fn the_kernel_is_asked_about_the_loopback() {
        let features = xdp_features(1).expect("generic netlink needs no privilege");
        assert!(features.is_none_or(|features| !features.has(XdpFeatures::BASIC)));
    }
}
