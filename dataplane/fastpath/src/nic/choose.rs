//! Which way into the fast path, by driver and features. Pure.
//!
//! Native XDP is of use only if the driver transmits and redirects: a program that forwards needs both. TC works with every
//! driver and beats generic XDP, which copies packets; generic XDP is taken only if it is asked for.

use serde::{Deserialize, Serialize};

use crate::netlink::genl::XdpFeatures;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathChoice {
    /// Whatever the drivers allow.
    #[default]
    Auto,
    Xdp,
    Tc,
    Generic,
}

/// Where the programs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// Native XDP, in the driver.
    Xdp,
    /// TC ingress: tcx, or clsact on kernels before 6.6.
    Tc,
    /// Generic XDP, behind the driver.
    Generic,
}

impl PathKind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Generic => "generic",
        }
    }
}

/// Drivers that advertise or accept XDP and yet cannot forward with it.
const UNFIT: [(&str, &str); 3] = [
    ("hinic3", "hinic3 runs XDP but knows only PASS and DROP: TX and REDIRECT end in a drop"),
    ("hinic", "hinic has no native XDP"),
    ("hns3", "hns3 has no native XDP"),
];

/// Drivers whose native XDP transmits and redirects, for kernels that do not tell (before 6.3).
const KNOWN_FIT: [&str; 18] = [
    "bnxt_en",
    "ena",
    "enetc",
    "fsl_dpaa2_eth",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mlx4_en",
    "mlx5_core",
    "nfp",
    "qede",
    "veth",
    "virtio_net",
];

/// What one driver allows, and why.
pub(crate) fn by_driver(driver: &str, features: Option<XdpFeatures>) -> (PathKind, String) {
    if let Some((_, why)) = UNFIT.iter().find(|(name, _)| *name == driver) {
        return (PathKind::Tc, (*why).to_owned());
    }
    let wanted = XdpFeatures::BASIC | XdpFeatures::REDIRECT;
    match features {
        // A veth transmits to its peer once that one has a program: seen to when attaching.
        Some(features) if driver == "veth" && features.has(wanted) => {
            (PathKind::Xdp, "veth runs XDP natively".to_owned())
        }
        Some(features) if features.has(wanted | XdpFeatures::NDO_XMIT) => {
            (PathKind::Xdp, format!("{driver} advertises XDP with redirect and transmit"))
        }
        Some(features) if features.has(XdpFeatures::BASIC) => {
            let missing = if features.has(wanted) { "transmit" } else { "redirect" };
            (PathKind::Tc, format!("{driver} runs XDP but does not advertise {missing}"))
        }
        Some(_) => (PathKind::Tc, format!("{driver} advertises no native XDP")),
        None if KNOWN_FIT.contains(&driver) => {
            (PathKind::Xdp, format!("the kernel does not tell XDP features, and {driver} is known to have them"))
        }
        None => {
            (PathKind::Tc, format!("the kernel does not tell XDP features, and {driver} is not known to have them"))
        }
    }
}

/// One way for all interfaces of a user plane: frames are redirected between them, so that the least able one decides.
pub(crate) fn decide(choice: PathChoice, reports: &[(PathKind, &str, &str)]) -> (PathKind, String) {
    match choice {
        PathChoice::Xdp => (PathKind::Xdp, "it was asked for".to_owned()),
        PathChoice::Tc => (PathKind::Tc, "it was asked for".to_owned()),
        PathChoice::Generic => (PathKind::Generic, "it was asked for".to_owned()),
        PathChoice::Auto => match reports.iter().find(|(kind, _, _)| *kind != PathKind::Xdp) {
            Some((kind, interface, why)) => (*kind, format!("{interface}: {why}")),
            None => {
                let reasons: Vec<&str> = reports.iter().map(|(_, _, why)| *why).collect();
                (PathKind::Xdp, reasons.first().copied().unwrap_or("no interface objects").to_owned())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: XdpFeatures = XdpFeatures(0x07);

    #[test]
    fn native_xdp_needs_redirect_and_transmit() {
        let kind = |driver, features| by_driver(driver, features).0;
        assert_eq!(kind("mlx5_core", Some(ALL)), PathKind::Xdp);
        assert_eq!(kind("mlx5_core", Some(XdpFeatures(0x03))), PathKind::Tc);
        assert_eq!(kind("mlx5_core", Some(XdpFeatures(0x01))), PathKind::Tc);
        assert_eq!(kind("mlx5_core", Some(XdpFeatures(0))), PathKind::Tc);
        assert_eq!(kind("veth", Some(XdpFeatures(0x03))), PathKind::Xdp);
    }

    #[test]
    fn drivers_that_cannot_forward_get_tc_whatever_they_advertise() {
        for driver in ["hinic", "hinic3", "hns3"] {
            for features in [None, Some(ALL)] {
                let (kind, why) = by_driver(driver, features);
                assert_eq!(kind, PathKind::Tc, "{driver}");
                assert!(why.starts_with(driver), "{why}");
            }
        }
    }

    #[test]
    fn kernels_that_do_not_tell_are_helped_by_a_list() {
        assert_eq!(by_driver("ice", None).0, PathKind::Xdp);
        assert_eq!(by_driver("frobnic", None).0, PathKind::Tc);
    }

    #[test]
    fn the_least_able_interface_decides_for_both() {
        let able = (PathKind::Xdp, "n3", "ice advertises XDP");
        let unable = (PathKind::Tc, "n6", "hns3 has no native XDP");
        assert_eq!(decide(PathChoice::Auto, &[able, unable]), (PathKind::Tc, "n6: hns3 has no native XDP".to_owned()));
        assert_eq!(decide(PathChoice::Auto, &[able, able]).0, PathKind::Xdp);
        assert_eq!(decide(PathChoice::Generic, &[able, able]).0, PathKind::Generic);
        assert_eq!(decide(PathChoice::Xdp, &[unable]).0, PathKind::Xdp);
    }
}
