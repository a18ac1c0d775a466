//! What reaches the slow path from N3.

use coeur_slowpath::answer::Answerer;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

/// An answer, if there is one, is no longer than what GTP-U has to say, and goes to who asked or not at all.
pub(crate) fn datagram(octets: &[u8]) {
    let now = Instant::now();
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 2152);
    let mut answerer = Answerer::new(Ipv4Addr::new(10, 0, 0, 1), now);
    let answer = answerer.handle(now, from, octets, |teid| teid % 2 == 0);
    if let Some((to, reply)) = answer.reply {
        assert_eq!(to.ip(), from.ip());
        assert!(reply.len() < 64, "an answer is never longer than a header and two elements");
    }
}
