//! What the daemon may do once its programs are loaded: `CAP_BPF` (tables with keys are written by system call) and
//! `CAP_NET_ADMIN` (detach programs, follow routes and neighbours). Everything else is given up, for good.

use std::io;

const CAP_NET_ADMIN: u32 = 12;
const CAP_BPF: u32 = 39;
/// `_LINUX_CAPABILITY_VERSION_3`: two words a set.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all other capabilities, and the ways to get them back. Capabilities belong to a thread: call it before any
/// other thread is there.
pub fn drop_all_but_needed() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 reads one header and writes two sets; both live here.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (word, set) in sets.iter_mut().enumerate() {
        let kept = needed(word as u32);
        *set = Sets { effective: set.effective & kept, permitted: set.permitted & kept, inheritable: 0 };
    }
    // SAFETY: version 3 reads one header and two sets; both live here.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The needed capabilities that lie in one word of a set.
fn needed(word: u32) -> u32 {
    [CAP_NET_ADMIN, CAP_BPF].into_iter().filter(|cap| cap / 32 == word).fold(0, |mask, cap| mask | 1 << (cap % 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_capabilities_are_needed() {
        assert_eq!((needed(0), needed(1)), (1 << 12, 1 << 7));
    }

    #[test]
    fn nothing_else_is_left() {
        // A thread of its own: capabilities are a thread's.
        let left = std::thread::spawn(|| {
            drop_all_but_needed().unwrap();
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        });
        let status = left.join().unwrap();
        let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap().trim();
        let permitted = u64::from_str_radix(permitted, 16).unwrap();
        assert_eq!(permitted & !(1 << 12 | 1 << 39), 0, "{permitted:x}");
        assert!(status.contains("NoNewPrivs:\t1"));
    }
}
