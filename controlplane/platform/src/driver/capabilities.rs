//! Capabilities (capabilities(7)) that children keep, by what they do.

use std::mem::size_of;

/// A set of capabilities, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CapabilitySet(pub(crate) u64);

/// Capability numbers of `linux/capability.h`.
pub(crate) const CAP_SETPCAP: u32 = 8;
const CAP_NET_BIND_SERVICE: u32 = 10;
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_RESOURCE: u32 = 24;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

impl CapabilitySet {
    pub(crate) const fn of(numbers: &[u32]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < numbers.len() {
            bits |= 1 << numbers[index];
            index += 1;
        }
        Self(bits)
    }

    pub(crate) const fn has(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn names(self) -> String {
        const NAMES: [(u32, &str); 7] = [
            (CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"),
            (CAP_NET_ADMIN, "CAP_NET_ADMIN"),
            (CAP_NET_RAW, "CAP_NET_RAW"),
            (CAP_SYS_ADMIN, "CAP_SYS_ADMIN"),
            (CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"),
            (CAP_PERFMON, "CAP_PERFMON"),
            (CAP_BPF, "CAP_BPF"),
        ];
        NAMES.iter().filter(|(number, _)| self.has(*number)).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// A core has no privilege, but for the raw socket of user-space SCTP (its protocol number is SCTP's own, 132), and for a port
/// below 1024 if somebody wants N2 there.
pub(crate) fn of_core(user_space_sctp: bool, n2_port: u16) -> CapabilitySet {
    if user_space_sctp {
        return CapabilitySet::of(&[CAP_NET_RAW]);
    }
    if n2_port < 1_024 { CapabilitySet::of(&[CAP_NET_BIND_SERVICE]) } else { CapabilitySet::default() }
}

/// A user plane loads and attaches programs: CAP_BPF, CAP_PERFMON for their pointer arithmetic, CAP_NET_ADMIN for XDP, TC and
/// netlink. It gives CAP_PERFMON up by itself when they are loaded.
///
/// Linux 5.8 split CAP_BPF and CAP_PERFMON from CAP_SYS_ADMIN; before it, that is what is needed. Until 5.11 maps were charged to
/// RLIMIT_MEMLOCK, which CAP_SYS_RESOURCE raises.
pub(crate) fn of_user_plane(kernel: (u32, u32)) -> CapabilitySet {
    let mut needed = CapabilitySet::of(&[CAP_NET_ADMIN]);
    needed.0 |= match kernel >= (5, 8) {
        true => CapabilitySet::of(&[CAP_BPF, CAP_PERFMON]).0,
        false => CapabilitySet::of(&[CAP_SYS_ADMIN]).0,
    };
    if kernel < (5, 11) {
        needed.0 |= CapabilitySet::of(&[CAP_SYS_RESOURCE]).0;
    }
    needed
}

/// Major and minor number of the running kernel; 0.0 if it does not say.
pub(crate) fn kernel_version() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    parse_version(&text).unwrap_or_default()
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether a socket of SCTP can be had (the kernel loads the module if it has one).
pub(crate) fn kernel_has_sctp() -> bool {
    // SAFETY: socket() takes no pointer; the descriptor is closed below and shared with nobody.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_SCTP) };
    if socket < 0 {
        return false;
    }
    // SAFETY: `socket` is an open descriptor that nothing else owns.
    unsafe { libc::close(socket) };
    true
}

/// Highest capability number of the running kernel.
pub(crate) fn last() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    text.trim().parse().unwrap_or(CAP_BPF).min(63)
}

/// What this process may do, and what it does now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    pub(crate) permitted: CapabilitySet,
    pub(crate) effective: CapabilitySet,
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 capabilities in two parts.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Part {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const _: () = assert!(size_of::<Header>() == 8 && size_of::<Part>() == 12);

/// capget(2) of this process.
pub(crate) fn own() -> std::io::Result<Own> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut parts = [Part::default(); 2];
    // SAFETY: the kernel reads `header` and writes two parts, which version 3 has; both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, parts.as_mut_ptr()) };
    if result != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let join = |low: u32, high: u32| CapabilitySet(u64::from(low) | u64::from(high) << 32);
    Ok(Own {
        permitted: join(parts[0].permitted, parts[1].permitted),
        effective: join(parts[0].effective, parts[1].effective),
    })
}

/// capset(2): permitted, effective and inheritable become `set`. Allocates nothing, so that it may be called between fork and
/// exec.
pub(crate) fn set_own(set: CapabilitySet) -> std::io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let part = |bits: u32| Part { effective: bits, permitted: bits, inheritable: bits };
    let parts = [part(set.0 as u32), part((set.0 >> 32) as u32)];
    // SAFETY: the kernel reads `header` and two parts, which version 3 has; both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, parts.as_ptr()) };
    if result != 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_has_nothing_or_one_thing() {
        assert_eq!(of_core(false, 38412), CapabilitySet::default());
        assert_eq!(of_core(true, 38412).names(), "CAP_NET_RAW");
        assert_eq!(of_core(false, 1023).names(), "CAP_NET_BIND_SERVICE");
    }

    #[test]
    fn a_user_plane_is_root_on_old_kernels_only() {
        assert_eq!(of_user_plane((6, 1)).names(), "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF");
        assert!(!of_user_plane((5, 8)).has(CAP_SYS_ADMIN) && of_user_plane((5, 8)).has(CAP_SYS_RESOURCE));
        assert!(of_user_plane((5, 4)).has(CAP_SYS_ADMIN) && of_user_plane((0, 0)).has(CAP_SYS_ADMIN));
    }

    #[test]
    fn kernels_say_their_version() {
        assert_eq!(parse_version("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(parse_version("5.10-rc1"), Some((5, 10)));
        assert_eq!(parse_version(""), None);
        assert_ne!(kernel_version(), (0, 0));
    }

    #[test]
    fn what_this_process_has_is_what_proc_says() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        assert_eq!(own().unwrap().effective.0, u64::from_str_radix(line.trim(), 16).unwrap());
    }
}
