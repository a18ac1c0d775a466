//! What happens in a core, as its operator's stream of events tells it.

use super::{GnbId, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use utoipa::ToSchema;

/// An event of a core. Events are facts: the thing has happened and, where it must survive, is committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Names the run of the core; sequence numbers begin anew with each.
    pub run: u64,
    /// From 1, without gaps except where `events-lost` says so.
    pub sequence: u64,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    GnbConnected {
        gnb: GnbId,
        name: String,
    },
    GnbRefused {
        cause: String,
    },
    GnbLost {
        gnb: GnbId,
    },
    UeRegistered {
        supi: String,
    },
    UeDeregistered {
        supi: String,
        by_network: bool,
    },
    UeConnected {
        supi: String,
    },
    UeIdle {
        supi: String,
    },
    SessionEstablished {
        supi: String,
        session: u8,
        dnn: String,
        snssai: String,
        #[schema(value_type = String, format = Ipv4)]
        ipv4: Ipv4Addr,
    },
    SessionReleased {
        supi: String,
        session: u8,
    },
    /// A procedure ended otherwise than in success.
    ProcedureFailed {
        procedure: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supi: Option<String>,
        /// The cause on the wire, and its clause.
        cause: String,
    },
    UserPlaneAssociated {
        node: String,
    },
    UserPlaneLost {
        node: String,
    },
    /// The reader was too slow, or asked for events no longer kept.
    EventsLost {
        count: u64,
    },
}

impl What {
    /// The `type` of the event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::GnbConnected { .. } => "gnb-connected",
            Self::GnbRefused { .. } => "gnb-refused",
            Self::GnbLost { .. } => "gnb-lost",
            Self::UeRegistered { .. } => "ue-registered",
            Self::UeDeregistered { .. } => "ue-deregistered",
            Self::UeConnected { .. } => "ue-connected",
            Self::UeIdle { .. } => "ue-idle",
            Self::SessionEstablished { .. } => "session-established",
            Self::SessionReleased { .. } => "session-released",
            Self::ProcedureFailed { .. } => "procedure-failed",
            Self::UserPlaneAssociated { .. } => "user-plane-associated",
            Self::UserPlaneLost { .. } => "user-plane-lost",
            Self::EventsLost { .. } => "events-lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_and_reads_back() {
        let what = What::SessionEstablished {
            supi: "imsi-001010000000001".into(),
            session: 1,
            dnn: "internet".into(),
            snssai: "1".into(),
            ipv4: [10, 45, 0, 1].into(),
        };
        let event = Event { run: 7, sequence: 1, time: Timestamp::from_unix_ms(0), what };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!((json["type"].as_str(), json["ipv4"].as_str()), (Some(event.what.kind()), Some("10.45.0.1")));
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
