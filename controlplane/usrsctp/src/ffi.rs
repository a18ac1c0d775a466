//! usrsctp.h, version 0.9.5, as far as it is used. Sizes are checked at the end of the file.

use libc::{c_char, c_int, c_uint, c_void, size_t, socklen_t, ssize_t};

pub(crate) const AF_CONN: c_int = 123;
pub(crate) const IPPROTO_SCTP: c_int = 132;
/// Differs from the kernel's.
pub(crate) const MSG_NOTIFICATION: c_int = 0x2000;

pub(crate) const SCTP_FUTURE_ASSOC: u32 = 0;

pub(crate) const SCTP_RTOINFO: c_int = 0x01;
pub(crate) const SCTP_ASSOCINFO: c_int = 0x02;
pub(crate) const SCTP_INITMSG: c_int = 0x03;
pub(crate) const SCTP_NODELAY: c_int = 0x04;
pub(crate) const SCTP_PEER_ADDR_PARAMS: c_int = 0x0a;
pub(crate) const SCTP_EVENT: c_int = 0x1e;
pub(crate) const SCTP_RECVRCVINFO: c_int = 0x1f;
pub(crate) const SCTP_STATUS: c_int = 0x100;
/// Not in the public header: reads the verification tags of an association.
pub(crate) const SCTP_GET_NONCE_VALUES: c_int = 0x1105;

pub(crate) const SPP_HB_ENABLE: u32 = 0x01;
pub(crate) const SPP_PMTUD_DISABLE: u32 = 0x10;

pub(crate) const SCTP_SENDV_SNDINFO: c_uint = 1;
pub(crate) const SCTP_RECVV_RCVINFO: c_uint = 1;

pub(crate) const SCTP_ASSOC_CHANGE: u16 = 0x0001;
pub(crate) const SCTP_SHUTDOWN_EVENT: u16 = 0x0005;

pub(crate) const SCTP_COMM_UP: u16 = 1;
pub(crate) const SCTP_COMM_LOST: u16 = 2;
pub(crate) const SCTP_RESTART: u16 = 3;
pub(crate) const SCTP_SHUTDOWN_COMP: u16 = 4;
pub(crate) const SCTP_CANT_STR_ASSOC: u16 = 5;

#[repr(C)]
pub(crate) struct RawSocket {
    _opaque: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SockaddrConn {
    pub(crate) family: u16,
    /// Network order.
    pub(crate) port: u16,
    /// Never dereferenced by usrsctp: it holds a number.
    pub(crate) addr: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct RcvInfo {
    pub(crate) sid: u16,
    pub(crate) ssn: u16,
    pub(crate) flags: u16,
    /// Network order.
    pub(crate) ppid: u32,
    pub(crate) tsn: u32,
    pub(crate) cumtsn: u32,
    pub(crate) context: u32,
    pub(crate) assoc_id: u32,
}

#[repr(C)]
pub(crate) struct SndInfo {
    pub(crate) sid: u16,
    pub(crate) flags: u16,
    /// Network order.
    pub(crate) ppid: u32,
    pub(crate) context: u32,
    pub(crate) assoc_id: u32,
}

#[repr(C)]
pub(crate) struct InitMsg {
    pub(crate) ostreams: u16,
    pub(crate) instreams: u16,
    pub(crate) attempts: u16,
    pub(crate) init_timeout_ms: u16,
}

#[repr(C)]
pub(crate) struct RtoInfo {
    pub(crate) assoc_id: u32,
    pub(crate) initial_ms: u32,
    pub(crate) max_ms: u32,
    pub(crate) min_ms: u32,
}

#[repr(C)]
pub(crate) struct AssocParams {
    pub(crate) assoc_id: u32,
    pub(crate) peer_rwnd: u32,
    pub(crate) local_rwnd: u32,
    pub(crate) cookie_life_ms: u32,
    pub(crate) max_rxt: u16,
    pub(crate) peer_destinations: u16,
}

#[repr(C)]
pub(crate) struct PeerAddrParams {
    pub(crate) address: libc::sockaddr_storage,
    pub(crate) assoc_id: u32,
    pub(crate) heartbeat_ms: u32,
    pub(crate) path_mtu: u32,
    pub(crate) flags: u32,
    pub(crate) ipv6_flowlabel: u32,
    pub(crate) path_max_rxt: u16,
    pub(crate) dscp: u8,
}

#[repr(C)]
pub(crate) struct Event {
    pub(crate) assoc_id: u32,
    pub(crate) kind: u16,
    pub(crate) on: u8,
}

#[repr(C)]
pub(crate) struct Status {
    pub(crate) assoc_id: u32,
    pub(crate) state: i32,
    pub(crate) rwnd: u32,
    pub(crate) unacked: u16,
    pub(crate) pending: u16,
    pub(crate) instreams: u16,
    pub(crate) outstreams: u16,
    pub(crate) fragmentation_point: u32,
    pub(crate) primary: [u64; 19],
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct NonceValues {
    pub(crate) assoc_id: u32,
    pub(crate) peer_tag: u32,
    pub(crate) local_tag: u32,
}

pub(crate) type ConnOutput = unsafe extern "C" fn(*mut c_void, *mut c_void, size_t, u8, u8) -> c_int;
type DebugPrintf = unsafe extern "C" fn(*const c_char, ...);

unsafe extern "C" {
    pub(crate) fn usrsctp_init_nothreads(port: u16, output: Option<ConnOutput>, debug: Option<DebugPrintf>);
    pub(crate) fn usrsctp_conninput(addr: *mut c_void, buffer: *const c_void, length: size_t, ecn_bits: u8);
    pub(crate) fn usrsctp_register_address(addr: *mut c_void);
    pub(crate) fn usrsctp_deregister_address(addr: *mut c_void);
    pub(crate) fn usrsctp_handle_timers(elapsed_ms: u32);
    pub(crate) fn usrsctp_enable_crc32c_offload();
    pub(crate) fn usrsctp_crc32c(buffer: *mut c_void, length: size_t) -> u32;
    pub(crate) fn usrsctp_sysctl_set_sctp_asconf_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_auto_asconf(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_auth_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_reconfig_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_nrsack_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_pktdrop_enable(value: u32) -> c_int;

    pub(crate) fn usrsctp_socket(
        domain: c_int,
        kind: c_int,
        protocol: c_int,
        receive: *const c_void,
        send: *const c_void,
        send_threshold: u32,
        ulp_info: *mut c_void,
    ) -> *mut RawSocket;
    pub(crate) fn usrsctp_set_non_blocking(socket: *mut RawSocket, on: c_int) -> c_int;
    pub(crate) fn usrsctp_setsockopt(
        socket: *mut RawSocket,
        level: c_int,
        option: c_int,
        value: *const c_void,
        length: socklen_t,
    ) -> c_int;
    pub(crate) fn usrsctp_getsockopt(
        socket: *mut RawSocket,
        level: c_int,
        option: c_int,
        value: *mut c_void,
        length: *mut socklen_t,
    ) -> c_int;
    pub(crate) fn usrsctp_bind(socket: *mut RawSocket, name: *mut SockaddrConn, length: socklen_t) -> c_int;
    pub(crate) fn usrsctp_listen(socket: *mut RawSocket, backlog: c_int) -> c_int;
    pub(crate) fn usrsctp_accept(
        socket: *mut RawSocket,
        name: *mut SockaddrConn,
        length: *mut socklen_t,
    ) -> *mut RawSocket;
    pub(crate) fn usrsctp_connect(socket: *mut RawSocket, name: *mut SockaddrConn, length: socklen_t) -> c_int;
    pub(crate) fn usrsctp_shutdown(socket: *mut RawSocket, how: c_int) -> c_int;
    pub(crate) fn usrsctp_close(socket: *mut RawSocket);
    pub(crate) fn usrsctp_sendv(
        socket: *mut RawSocket,
        data: *const c_void,
        length: size_t,
        to: *mut libc::sockaddr,
        count: c_int,
        info: *mut c_void,
        info_length: socklen_t,
        info_kind: c_uint,
        flags: c_int,
    ) -> ssize_t;
    pub(crate) fn usrsctp_recvv(
        socket: *mut RawSocket,
        buffer: *mut c_void,
        length: size_t,
        from: *mut libc::sockaddr_storage,
        from_length: *mut socklen_t,
        info: *mut c_void,
        info_length: *mut socklen_t,
        info_kind: *mut c_uint,
        flags: *mut c_int,
    ) -> ssize_t;
}

const _: () = {
    assert!(size_of::<SockaddrConn>() == 16);
    assert!(size_of::<RcvInfo>() == 28);
    assert!(size_of::<SndInfo>() == 16);
    assert!(size_of::<InitMsg>() == 8);
    assert!(size_of::<RtoInfo>() == 16);
    assert!(size_of::<AssocParams>() == 20);
    assert!(size_of::<PeerAddrParams>() == 152);
    assert!(std::mem::offset_of!(PeerAddrParams, path_max_rxt) == 148);
    assert!(size_of::<Event>() == 8);
    assert!(size_of::<Status>() == 176);
    assert!(size_of::<NonceValues>() == 12);
};
