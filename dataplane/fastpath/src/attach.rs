//! Attaches programs to interfaces, by the predecessor's link if there is one: then no packet is lost.

use std::{io, path::Path};

use aya::{
    Ebpf, EbpfLoader,
    programs::{
        LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
        links::{FdLink, LinkError, PinnedLink},
        tc::{self, SchedClassifierLink, TcAttachOptions},
        xdp::XdpLink,
    },
};
use coeur_ebpf_abi::{map, program};

use crate::{
    error::{LoadError, StartError},
    nic::PathKind,
    object::OBJECT,
    pin::Pins,
};

/// What an interface carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    N3,
    N6,
    Both,
}

impl Role {
    fn program(self, path: PathKind) -> &'static str {
        match (path, self) {
            (PathKind::Tc, Self::N3) => program::TC_N3,
            (PathKind::Tc, Self::N6) => program::TC_N6,
            (PathKind::Tc, Self::Both) => program::TC_N3_N6,
            (_, Self::N3) => program::XDP_N3,
            (_, Self::N6) => program::XDP_N6,
            (_, Self::Both) => program::XDP_N3_N6,
        }
    }
}

/// A program at an interface, for as long as this lives; or longer, if its link is pinned.
#[derive(Debug)]
pub(crate) enum Attached {
    Pinned { _link: PinnedLink },
    Xdp { _link: XdpLink },
    Tc { _link: SchedClassifierLink },
}

/// Attaches the program of a role.
pub(crate) fn attach(
    ebpf: &mut Ebpf,
    interface: &str,
    role: Role,
    path: PathKind,
    pins: Option<&Pins>,
) -> Result<Attached, StartError> {
    let name = role.program(path);
    let failed =
        |error: ProgramError| StartError::Attach { interface: interface.to_owned(), path: path.label(), error };
    let file = pins.map(|pins| pins.link(path, interface));
    // Another way in, of a predecessor that was told otherwise, ends first: two would count and forward twice.
    for other in [PathKind::Xdp, PathKind::Tc, PathKind::Generic] {
        if let Some(pins) = pins
            && other != path
        {
            // Usually there is none.
            let _ = std::fs::remove_file(pins.link(other, interface));
        }
    }
    match program_mut(ebpf, name)? {
        Program::Xdp(xdp) => {
            if let Some(link) = file.as_deref().and_then(|file| adopt_xdp(xdp, file)) {
                return Ok(Attached::Xdp { _link: link });
            }
            let mode = if path == PathKind::Generic { XdpMode::Skb } else { XdpMode::Driver };
            let id = xdp.attach(interface, mode).map_err(failed)?;
            let link = xdp.take_link(id).map_err(failed)?;
            match file {
                Some(file) => pin(FdLink::try_from(link), &file),
                None => Ok(Attached::Xdp { _link: link }),
            }
        }
        Program::SchedClassifier(tc) => {
            if let Some(link) = file.as_deref().and_then(|file| adopt_tc(tc, file)) {
                return Ok(Attached::Tc { _link: link });
            }
            let (link, can_pin) = attach_tc(tc, interface).map_err(failed)?;
            match file {
                Some(file) if can_pin => pin(FdLink::try_from(link), &file),
                // clsact has no links: the program ends with the process, and a successor attaches its own.
                _ => Ok(Attached::Tc { _link: link }),
            }
        }
        _ => Err(LoadError::NoProgram(name).into()),
    }
}

/// Loads one program of the object into the kernel; the verifier speaks here.
pub(crate) fn load(ebpf: &mut Ebpf, role: Role, path: PathKind) -> Result<(), LoadError> {
    let name = role.program(path);
    let loaded = match program_mut(ebpf, name)? {
        Program::Xdp(xdp) => xdp.load(),
        Program::SchedClassifier(tc) => tc.load(),
        _ => return Err(LoadError::NoProgram(name)),
    };
    loaded.map_err(|error| LoadError::Program { program: name, error })
}

fn program_mut<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Program, LoadError> {
    ebpf.program_mut(name).ok_or(LoadError::NoProgram(name))
}

/// Swaps the program of the predecessor's link, which stays pinned. A link whose interface is gone cannot be swapped: its
/// file is removed.
fn adopt_xdp(xdp: &mut Xdp, file: &Path) -> Option<XdpLink> {
    let link = XdpLink::try_from(FdLink::from(PinnedLink::from_pin(file).ok()?)).ok();
    let adopted = link.and_then(|link| xdp.attach_to_link(link).ok()).and_then(|id| xdp.take_link(id).ok());
    remove_unless(adopted.is_some(), file);
    adopted
}

fn adopt_tc(tc: &mut SchedClassifier, file: &Path) -> Option<SchedClassifierLink> {
    let link = SchedClassifierLink::try_from(FdLink::from(PinnedLink::from_pin(file).ok()?)).ok();
    let adopted = link.and_then(|link| tc.attach_to_link(link).ok()).and_then(|id| tc.take_link(id).ok());
    remove_unless(adopted.is_some(), file);
    adopted
}

fn remove_unless(adopted: bool, file: &Path) {
    if !adopted {
        // If this fails, pinning the new link says so.
        let _ = std::fs::remove_file(file);
    }
}

/// By tcx, whose links can be pinned; else by clsact, for kernels before 6.6.
fn attach_tc(tc: &mut SchedClassifier, interface: &str) -> Result<(SchedClassifierLink, bool), ProgramError> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    if let Ok(id) = tc.attach_with_options(interface, TcAttachType::Ingress, order) {
        return Ok((tc.take_link(id)?, true));
    }
    // A qdisc that is there already serves.
    let _ = tc::qdisc_add_clsact(interface);
    let options = TcAttachOptions::Netlink(tc::NlOptions::default());
    let id = tc.attach_with_options(interface, TcAttachType::Ingress, options)?;
    Ok((tc.take_link(id)?, false))
}

fn pin(link: Result<FdLink, LinkError>, file: &Path) -> Result<Attached, StartError> {
    let failed = |error: String| LoadError::Pin { path: file.to_owned(), error: io::Error::other(error) };
    let link = link.map_err(|_| failed("this kernel has no XDP links (5.9 has)".to_owned()))?;
    let pinned = link.pin(file).map_err(|error| failed(error.to_string()))?;
    Ok(Attached::Pinned { _link: pinned })
}

/// A program that passes everything, for as long as this lives: with one, a veth accepts frames that its other end redirects.
#[derive(Debug)]
pub struct PassProgram {
    _attached: Attached,
}

/// Attaches that program to an interface of this network namespace.
pub fn attach_pass(interface: &str) -> Result<PassProgram, StartError> {
    attach_pass_pinned(interface, None)
}

/// The same, pinned with the rest: it must outlive the daemon as the other links do.
pub(crate) fn attach_pass_pinned(interface: &str, pins: Option<&Pins>) -> Result<PassProgram, StartError> {
    let mut loader = EbpfLoader::new();
    // Maps come with the object; this program uses none.
    loader.map_max_entries(map::UPLINK, 1).map_max_entries(map::DOWNLINK, 1);
    let mut ebpf = loader.load(OBJECT).map_err(LoadError::Object)?;
    let failed = |error: ProgramError| StartError::Attach { interface: interface.to_owned(), path: "xdp", error };
    let Program::Xdp(xdp) = program_mut(&mut ebpf, program::XDP_PASS)? else {
        return Err(LoadError::NoProgram(program::XDP_PASS).into());
    };
    xdp.load().map_err(|error| LoadError::Program { program: program::XDP_PASS, error })?;
    let id = xdp.attach(interface, XdpMode::Driver).map_err(failed)?;
    let link = xdp.take_link(id).map_err(failed)?;
    let attached = match pins.map(|pins| pins.pass(interface)) {
        Some(file) => {
            // Of an interface that is gone: no program is attached to this one.
            remove_unless(false, &file);
            pin(FdLink::try_from(link), &file)?
        }
        None => Attached::Xdp { _link: link },
    };
    Ok(PassProgram { _attached: attached })
}
