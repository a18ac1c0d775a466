//! What happened, for the operator's event stream and the log. Events are facts: a function emits one when the thing has
//! happened (and is committed, where it must survive), never when it is merely asked for.

use coeur_model::{Dnn, GnbId, PduSessionId, Snssai, Supi};
use std::net::Ipv4Addr;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
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
        supi: Supi,
    },
    UeDeregistered {
        supi: Supi,
        by_network: bool,
    },
    UeConnected {
        supi: Supi,
    },
    UeIdle {
        supi: Supi,
    },
    SessionEstablished {
        supi: Supi,
        session: PduSessionId,
        dnn: Dnn,
        snssai: Snssai,
        ipv4: Ipv4Addr,
    },
    SessionReleased {
        supi: Supi,
        session: PduSessionId,
    },
    /// A procedure ended otherwise than in success. `cause` is the cause on the wire and its clause.
    ProcedureFailed {
        procedure: &'static str,
        supi: Option<Supi>,
        cause: String,
    },
    UpfAssociated {
        node: String,
    },
    UpfLost {
        node: String,
    },
}
