//! What goes over the wire, as JSON. The OpenAPI document is made from these types; the command line reads them.

mod core;
mod event;
mod subscriber;
mod timestamp;
mod ue;

pub use core::{
    CoreState, CoreStatus, CoreSummary, Gnb, GnbId, Process, ProcessKind, ProcessState, SctpImplementation, Tai,
    UserPlane, UserPlaneState,
};
pub use event::{Event, What};
pub use subscriber::{
    Ambr, Arp, DnnSubscription, ImportResult, InvalidProfile, Profile, SLICE_DNNS_MAX, SessionType, SliceSubscription,
    Subscriber, SubscriberRequest,
};
/// Fields that a request and a file of subscribers have in common.
pub(crate) mod fields {
    pub(crate) use super::subscriber::{AMF_DEFAULT, amf, key, sqn};
}
pub use timestamp::Timestamp;
pub use ue::{CmState, Outcome, Session, SessionState, Ue};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The `cursor` of the next part; absent in the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(item).collect(), next: self.next }
    }
}
