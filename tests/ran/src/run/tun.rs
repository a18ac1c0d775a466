//! TUN interfaces, one a session, and the one epoll set that all of them are read through.

use anyhow::{Context as _, bail};
use std::ffi::c_short;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::mem::zeroed;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use tokio::io::unix::AsyncFd;

/// Packets read from one interface before the others have their turn.
const BURST: usize = 64;
const READY_MAX: usize = 64;
const PACKET_MAX: usize = 65_536;

/// An interface with a phone's address. It goes when the value does.
pub(super) struct Tun {
    file: File,
    pub(super) name: String,
}

impl Tun {
    /// Needs CAP_NET_ADMIN. The address is a /32 and no route is made: who wants to use it binds to the interface.
    pub(super) fn create(name: &str, address: Ipv4Addr, mtu: u16) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options.open("/dev/net/tun").context("/dev/net/tun")?;
        let mut request = Request::new(name)?;
        request.0.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
        request.ioctl(file.as_raw_fd(), libc::TUNSETIFF).with_context(|| format!("TUNSETIFF {name}"))?;
        configure(name, address, mtu)?;
        Ok(Self { file, name: name.into() })
    }

    /// One packet to the phone. A full queue drops it, as a full interface does.
    pub(super) fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write(packet).map(|_| ())
    }
}

fn configure(name: &str, address: Ipv4Addr, mtu: u16) -> anyhow::Result<()> {
    // SAFETY: `socket` takes no pointer; the descriptor it returns is owned by nobody else.
    let control = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            bail!("socket: {}", io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let control = control.as_raw_fd();
    let set = |request: &mut Request, code, what: &str| {
        request.ioctl(control, code).with_context(|| format!("{what} of {name}"))
    };
    let mut request = Request::new(name)?;
    request.set_address(address);
    set(&mut request, libc::SIOCSIFADDR, "address")?;
    request.set_address(Ipv4Addr::BROADCAST);
    set(&mut request, libc::SIOCSIFNETMASK, "netmask")?;
    let mut request = Request::new(name)?;
    request.0.ifr_ifru.ifru_mtu = mtu.into();
    set(&mut request, libc::SIOCSIFMTU, "MTU")?;
    let mut request = Request::new(name)?;
    request.0.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as c_short;
    set(&mut request, libc::SIOCSIFFLAGS, "flags")?;
    // What comes back through the tunnel has its route elsewhere: no reverse path filter here. Best effort: a namespace may
    // have /proc/sys read-only, and then its own setting holds.
    let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0");
    Ok(())
}

/// `struct ifreq`.
struct Request(libc::ifreq);

impl Request {
    fn new(name: &str) -> anyhow::Result<Self> {
        // SAFETY: an `ifreq` of zeros is a valid one: octets and a union of plain data.
        let mut request: libc::ifreq = unsafe { zeroed() };
        if name.is_empty() || name.len() >= request.ifr_name.len() {
            bail!("{name:?}: not the name of an interface");
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        Ok(Self(request))
    }

    fn set_address(&mut self, address: Ipv4Addr) {
        // SAFETY: as above, for `sockaddr_in`.
        let mut socket: libc::sockaddr_in = unsafe { zeroed() };
        socket.sin_family = libc::AF_INET as libc::sa_family_t;
        socket.sin_addr.s_addr = u32::from(address).to_be();
        // SAFETY: the union is of plain data, and `sockaddr_in` is as large as the `sockaddr` that it is read as.
        self.0.ifr_ifru.ifru_addr = unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(socket) };
    }

    fn ioctl(&mut self, fd: RawFd, code: libc::Ioctl) -> io::Result<()> {
        // SAFETY: each code used here takes a pointer to an `ifreq`, which lives across the call.
        match unsafe { libc::ioctl(fd, code, &raw mut self.0) } {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// All interfaces, by number.
pub(super) struct Tuns {
    epoll: AsyncFd<OwnedFd>,
    tuns: Vec<Option<Tun>>,
    free: Vec<usize>,
    buffer: Box<[u8; PACKET_MAX]>,
}

impl Tuns {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: `epoll_create1` takes no pointer; the descriptor it returns is owned by nobody else.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: an `OwnedFd` is one descriptor, always the same, and open until the `AsyncFd` that owns it drops it.
        let epoll = unsafe { AsyncFd::register(epoll) }?;
        Ok(Self { epoll, tuns: Vec::new(), free: Vec::new(), buffer: Box::new([0; PACKET_MAX]) })
    }

    pub(super) fn insert(&mut self, tun: Tun) -> io::Result<usize> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.tuns.push(None);
            self.tuns.len() - 1
        });
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        let (epoll, fd) = (self.epoll.get_ref().as_raw_fd(), tun.file.as_raw_fd());
        // SAFETY: both descriptors are open, and `event` lives across the call.
        if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
            self.free.push(index);
            return Err(io::Error::last_os_error());
        }
        self.tuns[index] = Some(tun);
        Ok(index)
    }

    /// Removes the interface; closing its file takes it out of the epoll set.
    pub(super) fn remove(&mut self, index: usize) {
        if self.tuns.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&Tun> {
        self.tuns.get(index).and_then(Option::as_ref)
    }

    /// Waits until an interface has a packet. Safe to cancel.
    pub(super) async fn readable(&self) -> io::Result<()> {
        // Readiness is cleared by `drain`, when nothing is left.
        self.epoll.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Reads a burst from each interface that has packets, and gives them to `take`.
    pub(super) async fn drain(&mut self, mut take: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let mut guard = self.epoll.readable().await?;
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; READY_MAX];
        let epoll = guard.get_inner().as_raw_fd();
        // SAFETY: `ready` has room for `READY_MAX` events and lives across the call.
        let count = unsafe { libc::epoll_wait(epoll, ready.as_mut_ptr(), READY_MAX as libc::c_int, 0) };
        let Ok(count @ 1..) = usize::try_from(count) else {
            guard.clear_ready();
            return Ok(());
        };
        for event in &ready[..count] {
            let index = event.u64 as usize;
            let Some(tun) = self.tuns.get(index).and_then(Option::as_ref) else { continue };
            for _ in 0..BURST {
                match (&tun.file).read(&mut self.buffer[..]) {
                    Ok(length) => take(index, &self.buffer[..length]),
                    // Empty, or the interface was taken down under us: either way there is nothing to read.
                    Err(_) => break,
                }
            }
        }
        Ok(())
    }
}
