//! The ethtool calls that are needed: the driver's name, and offloads that merge packets.

use std::io;

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;
const ETHTOOL_GTSO: u32 = 0x0000_001e;
const ETHTOOL_STSO: u32 = 0x0000_001f;
const ETHTOOL_GGSO: u32 = 0x0000_0023;
const ETHTOOL_SGSO: u32 = 0x0000_0024;
const ETHTOOL_GFLAGS: u32 = 0x0000_0025;
const ETHTOOL_SFLAGS: u32 = 0x0000_0026;
const ETHTOOL_GGRO: u32 = 0x0000_002b;
const ETHTOOL_SGRO: u32 = 0x0000_002c;
const ETH_FLAG_LRO: u32 = 1 << 15;

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// The driver of an interface; `None` for devices without one (the loopback).
pub(crate) fn driver(interface: &str) -> io::Result<Option<String>> {
    let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
    // SAFETY: the command takes a `struct ethtool_drvinfo`.
    match unsafe { call(interface, &mut info) } {
        Ok(()) => {
            let name = info.driver.split(|octet| *octet == 0).next().unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(name).into_owned()).filter(|name| !name.is_empty()))
        }
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Turns off what merges received packets (GRO, LRO): a merged packet cannot get one GTP-U length.
/// Gives what could not be turned off.
pub(crate) fn split_merged_packets(interface: &str) -> io::Result<()> {
    turn_off(interface, ETHTOOL_GGRO, ETHTOOL_SGRO)?;
    let mut flags = Value { command: ETHTOOL_GFLAGS, data: 0 };
    // SAFETY: the command takes a `struct ethtool_value`.
    unsafe { call(interface, &mut flags)? };
    if flags.data & ETH_FLAG_LRO != 0 {
        let mut without = Value { command: ETHTOOL_SFLAGS, data: flags.data & !ETH_FLAG_LRO };
        // SAFETY: as above.
        unsafe { call(interface, &mut without)? };
    }
    Ok(())
}

/// Turns off what merges packets before they are sent (TSO, GSO): of a veth peer, whose packets arrive as they are.
pub(crate) fn split_sent_packets(interface: &str) -> io::Result<()> {
    turn_off(interface, ETHTOOL_GTSO, ETHTOOL_STSO)?;
    turn_off(interface, ETHTOOL_GGSO, ETHTOOL_SGSO)
}

fn turn_off(interface: &str, read: u32, write: u32) -> io::Result<()> {
    let mut state = Value { command: read, data: 0 };
    // SAFETY: these commands take a `struct ethtool_value`.
    unsafe { call(interface, &mut state)? };
    if state.data == 0 {
        return Ok(());
    }
    let mut off = Value { command: write, data: 0 };
    // SAFETY: as above.
    unsafe { call(interface, &mut off) }
}

/// # Safety
/// `T` is the structure of the command in its first word.
unsafe fn call<T>(interface: &str, argument: &mut T) -> io::Result<()> {
    // SAFETY: all zeros is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = interface.as_bytes();
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = std::ptr::from_mut(argument).cast();
    // SAFETY: a system call without pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a request whose data is what the command takes.
    let done = unsafe { libc::ioctl(socket, SIOCETHTOOL, &raw mut request) };
    let result = if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: opened above, used nowhere else.
    unsafe { libc::close(socket) };
    result
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_can_have_is_no_device() {
        for name in ["", "a-name-of-sixteen"] {
            assert_eq!(driver(name).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        }
    }
}
