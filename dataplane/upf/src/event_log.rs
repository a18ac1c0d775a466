//! Events of the UP function as log lines: a peer that misbehaves must not fill a disk.

use std::time::{Duration, Instant};

use coeur_session::Event;

/// Lines about events in one second; what comes above is counted in one line (and each in its metric).
const LINES_PER_SECOND_MAX: u32 = 20;

#[derive(Debug)]
pub(crate) struct EventLog {
    second: Instant,
    lines: u32,
    suppressed: u64,
}

impl EventLog {
    pub(crate) fn new(now: Instant) -> Self {
        Self { second: now, lines: 0, suppressed: 0 }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        if self.admit(Instant::now()) {
            write(event);
        }
    }

    fn admit(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            if self.suppressed > 0 {
                tracing::warn!(events = self.suppressed, "more events than are written; see the metrics");
            }
            *self = Self::new(now);
        }
        self.lines += 1;
        let admitted = self.lines <= LINES_PER_SECOND_MAX;
        self.suppressed += u64::from(!admitted);
        admitted
    }
}

fn write(event: &Event) {
    match event {
        Event::AssociationEstablished { node } => tracing::info!(%node, "association established"),
        Event::AssociationReleased { node, sessions } => tracing::info!(%node, sessions, "association released"),
        Event::PeerRestarted { node, sessions } => {
            tracing::warn!(%node, sessions, "the control plane restarted; its sessions wait for it");
        }
        Event::AssociationRenewed { node, retained, ended } => {
            tracing::info!(%node, retained, ended, "association set up anew");
        }
        Event::PeerGone { node, sessions } => tracing::warn!(%node, sessions, "the control plane did not come back"),
        Event::PeerSilent { node } => tracing::warn!(%node, "heartbeats without an answer; sessions go on"),
        Event::PeerAnswers { node } => tracing::info!(%node, "heartbeats are answered again"),
        Event::Refused { message, cause, offending_ie, rule } => {
            let rule = rule.map(|rule| rule.to_string());
            tracing::warn!(message, cause, offending_ie, rule, "refused");
        }
        Event::ApplyFailed { detail } => tracing::error!(detail, "a table write failed; the session was put back"),
        Event::SlotsLost { detail } => {
            tracing::error!(detail, "a session could not be put back; its slots are lost until its association ends");
        }
        Event::RateLimitNotEnforced => {
            tracing::warn!(
                "a rate limit (MBR) was accepted; this version does not enforce rate limits (docs/adr/0004)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_limited_in_each_second() {
        let start = Instant::now();
        let mut log = EventLog::new(start);
        assert_eq!((0..1000).filter(|_| log.admit(start)).count(), LINES_PER_SECOND_MAX as usize);
        assert_eq!(log.suppressed, 1000 - u64::from(LINES_PER_SECOND_MAX));
        assert!(log.admit(start + Duration::from_secs(1)));
        assert_eq!(log.suppressed, 0);
    }
}
