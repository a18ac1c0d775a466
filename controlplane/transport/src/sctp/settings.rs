//! Every limit and timer of an endpoint.

use super::SctpError;

/// Settings of an endpoint; its associations share them. Names and meaning as in RFC 9260, 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SctpSettings {
    /// Streams offered to and accepted from a peer, each way. TS 38.412, 7 wants one for non-UE-associated signalling
    /// and at least one more.
    pub streams: u16,
    pub heartbeat_ms: u32,
    pub rto_initial_ms: u32,
    pub rto_min_ms: u32,
    pub rto_max_ms: u32,
    pub association_retransmissions_max: u16,
    pub path_retransmissions_max: u16,
    pub init_attempts_max: u16,
    pub init_timeout_max_ms: u16,
    pub cookie_life_ms: u32,
    /// A longer message is not taken to send; a peer that sends one is aborted, because the rest of its stream would be
    /// misread without it.
    pub message_octets_max: usize,
    /// Per association: octets queued and not yet acknowledged. Beyond: `SendError::QueueFull`.
    pub send_queue_octets_max: u32,
    /// Per association: what a peer may have in flight towards us.
    pub receive_window_octets: u32,
    pub associations_max: usize,
    /// Associations that are up but not yet taken over by the endpoint.
    pub backlog: u16,
    /// Largest IP payload per packet (usrsctp; the kernel discovers it): 1,500 minus the IP header.
    pub packet_octets_max: u32,
}

impl Default for SctpSettings {
    fn default() -> Self {
        Self {
            streams: 16,
            heartbeat_ms: 5_000,
            rto_initial_ms: 1_000,
            rto_min_ms: 250,
            rto_max_ms: 4_000,
            association_retransmissions_max: 6,
            path_retransmissions_max: 6,
            init_attempts_max: 4,
            init_timeout_max_ms: 4_000,
            cookie_life_ms: 60_000,
            message_octets_max: 65_535,
            send_queue_octets_max: 1 << 20,
            receive_window_octets: 1 << 20,
            associations_max: 4_096,
            backlog: 128,
            packet_octets_max: 1_480,
        }
    }
}

impl SctpSettings {
    pub(super) fn validate(&self) -> Result<(), SctpError> {
        let rules = [
            ("streams", "1 to 1024", (1..=1024).contains(&self.streams)),
            ("heartbeat_ms", "1000 or more", self.heartbeat_ms >= 1_000),
            ("rto_min_ms", "10 or more, not above rto_max_ms", (10..=self.rto_max_ms).contains(&self.rto_min_ms)),
            (
                "rto_initial_ms",
                "between rto_min_ms and rto_max_ms",
                (self.rto_min_ms..=self.rto_max_ms).contains(&self.rto_initial_ms),
            ),
            ("association_retransmissions_max", "1 or more", self.association_retransmissions_max >= 1),
            ("path_retransmissions_max", "1 or more", self.path_retransmissions_max >= 1),
            ("init_attempts_max", "1 or more", self.init_attempts_max >= 1),
            ("message_octets_max", "1024 to 1048576", (1024..=1 << 20).contains(&self.message_octets_max)),
            (
                "send_queue_octets_max",
                "room for one message of message_octets_max at least",
                self.send_queue_octets_max as usize > self.message_octets_max,
            ),
            (
                "receive_window_octets",
                "room for one message of message_octets_max at least",
                self.receive_window_octets as usize > self.message_octets_max,
            ),
            ("associations_max", "1 to 65536", (1..=65_536).contains(&self.associations_max)),
            ("backlog", "1 or more", self.backlog >= 1),
            ("packet_octets_max", "516 to 65515", (516..=65_515).contains(&self.packet_octets_max)),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, expected, _)) => Err(SctpError::Setting { name, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_wrong_one_is_named() {
        assert!(SctpSettings::default().validate().is_ok());
        let wrong = SctpSettings { rto_min_ms: 5_000, ..SctpSettings::default() };
        assert!(wrong.validate().unwrap_err().to_string().contains("rto_min_ms"));
        let wrong = SctpSettings { send_queue_octets_max: 1_000, ..SctpSettings::default() };
        assert!(wrong.validate().unwrap_err().to_string().contains("send_queue_octets_max"));
    }
}
