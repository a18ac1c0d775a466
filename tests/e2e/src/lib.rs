//! Network namespaces, real binaries, real packets: what the end-to-end tests, `cargo xtask demo` and the benches share.
//!
//! It makes namespaces joined by veth pairs ([`Lab`]), starts the project's binaries in them ([`Process`]), reads their
//! events ([`Events`]) and figures ([`scrape`]), and sends traffic from a process's own threads ([`ping`], [`tcp`]): no
//! ping, iperf or curl has to be installed. [`Guest`] boots a User Mode Linux guest that has the kernel SCTP which many a
//! test machine lacks.
//!
//! It knows nothing of NGAP, NAS, PFCP or GTP-U: protocol is what the binaries speak. It never touches the namespace it
//! was started in, and it takes everything away again: on drop, after a signal, and after a predecessor that crashed.

mod binaries;
mod config;
mod events;
mod guest;
mod lab;
mod netns;
pub mod ping;
mod process;
mod running;
pub mod scrape;
mod socket;
pub mod tcp;
mod workdir;

pub use binaries::Binaries;
pub use config::{CoreFile, Path, Subscriber, subscribers};
pub use events::Events;
pub use guest::{Guest, GuestNet};
pub use lab::{Addresses, Lab};
pub use netns::Namespace;
pub use process::{Lifetime, Process};
pub use running::{CONFIG, Phone, Phones, RanOptions, Running, SUBSCRIBERS, percentile, write_subscribers};
pub use workdir::{Leftover, Workdir, clean_up_dead, clean_up_on_signal, remove};

/// Why a test of real packets cannot run here; none if it can.
pub fn missing() -> Option<String> {
    // SAFETY: geteuid has no precondition and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Some("needs root: it makes network namespaces".into());
    }
    ["ip", "ethtool"]
        .into_iter()
        .find(|tool| !on_path(tool))
        .map(|tool| format!("needs {tool}: run `cargo xtask setup`"))
}

/// Whether a program of this name is on the search path.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
