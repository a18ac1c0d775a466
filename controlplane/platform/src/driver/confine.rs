//! What happens to a child between fork and exec: it loses every privilege that it does not need, and its life is tied to
//! the platform's.

use super::capabilities::{self, CAP_SETPCAP, CapabilitySet};
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

/// Who a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// A name or a number of /etc/passwd.
    pub(crate) fn find(name: &str) -> io::Result<Option<Self>> {
        Ok(find_in(&std::fs::read_to_string("/etc/passwd")?, name))
    }
}

/// passwd(5): name, password, UID, GID, ...
fn find_in(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [found, _, uid, gid, ..] = fields[..] else { return None };
        let user = User { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (found == name || uid == name).then_some(user)
    })
}

/// All that a child goes through. Made before fork, because nothing may be allocated after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confinement {
    keep: CapabilitySet,
    /// This process may change bounding set and secure bits.
    bound: bool,
    last: u32,
    user: Option<User>,
    parent: libc::pid_t,
}

impl Confinement {
    /// `wanted` is cut to what this process itself may do; what is missing comes back too.
    pub(crate) fn new(wanted: CapabilitySet, user: Option<User>) -> io::Result<(Self, CapabilitySet)> {
        let own = capabilities::own()?;
        let confinement = Self {
            keep: wanted.and(own.permitted),
            bound: own.effective.has(CAP_SETPCAP),
            last: capabilities::last(),
            user,
            // SAFETY: getpid() takes nothing and cannot fail.
            parent: unsafe { libc::getpid() },
        };
        Ok((confinement, wanted.without(own.permitted)))
    }

    /// Called in the child, between fork and exec: system calls only.
    pub(crate) fn apply(&self) -> io::Result<()> {
        if self.bound {
            // Neither this child nor what it starts can ever get more than what it keeps.
            for number in (0..=self.last).filter(|number| !self.keep.has(*number)) {
                prctl(libc::PR_CAPBSET_DROP, number.into(), 0)?;
            }
            // Being user 0 gives no capability.
            prctl(libc::PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0)?;
        }
        if let Some(user) = self.user {
            prctl(libc::PR_SET_KEEPCAPS, 1, 0)?;
            become_user(user)?;
        }
        capabilities::set_own(self.keep)?;
        // What is ambient survives exec without being user 0.
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0)?;
        for number in (0..=self.last).filter(|number| self.keep.has(*number)) {
            prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, number.into())?;
        }
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        // Last, because a change of credentials clears it. If the platform dies, this child does.
        prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0)?;
        // SAFETY: getppid() takes nothing and cannot fail.
        if unsafe { libc::getppid() } != self.parent {
            // It died before it could be noticed.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    }
}

/// `linux/securebits.h`.
const SECBIT_NOROOT: libc::c_ulong = 1 << 0;
const SECBIT_NOROOT_LOCKED: libc::c_ulong = 1 << 1;

fn prctl(option: libc::c_int, second: libc::c_ulong, third: libc::c_ulong) -> io::Result<()> {
    // SAFETY: none of the options used here takes a pointer.
    let result = unsafe { libc::prctl(option, second, third, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The raw system calls: libc's own tell every thread, and there are none after fork.
fn become_user(user: User) -> io::Result<()> {
    let (uid, gid) = (user.uid, user.gid);
    // SAFETY: setgroups reads no list of length 0; the others take numbers only.
    let results = unsafe {
        [
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()),
            libc::syscall(libc::SYS_setresgid, gid, gid, gid),
            libc::syscall(libc::SYS_setresuid, uid, uid, uid),
        ]
    };
    if results.iter().any(|result| *result != 0) { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives a folder, and the files in it, to a user, unless it is theirs already. No link is followed.
pub(crate) fn give(folder: &Path, user: User) -> io::Result<()> {
    if folder.symlink_metadata()?.uid() == user.uid {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        lchown(entry?.path(), Some(user.uid), Some(user.gid))?;
    }
    // Last: from here on they may put links into it.
    lchown(folder, Some(user.uid), Some(user.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbroken\ncoeur:x:998:997::/:/bin/false\n";
        let coeur = Some(User { uid: 998, gid: 997 });
        assert_eq!((find_in(passwd, "coeur"), find_in(passwd, "998")), (coeur, coeur));
        assert_eq!((find_in(passwd, "x"), find_in(passwd, "")), (None, None));
    }
}
