//! What the northbound service asks of the loop: the loop alone holds the network functions.

use coeur_model::{PduSessionId, Supi};
use coeur_nf::services::namf::AmfCommandError;
use coeur_nf::services::nsmf::SmfCommandError;
use coeur_northbound::core_v1 as v1;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait for the loop; one beyond is refused with UNAVAILABLE.
pub(crate) const ASKS_MAX: usize = 256;

/// A question and where its answer goes.
#[derive(Debug)]
pub(crate) enum Ask {
    Status(oneshot::Sender<v1::Status>),
    /// UEs after `after`, in the order of their SUPI, at most `limit`.
    Ues {
        after: Option<Supi>,
        limit: usize,
        reply: oneshot::Sender<Vec<v1::Ue>>,
    },
    Ue {
        supi: Supi,
        reply: oneshot::Sender<Option<v1::Ue>>,
    },
    /// Sessions after `after`, in the order of SUPI and identity, at most `limit`.
    Sessions {
        after: Option<(Supi, PduSessionId)>,
        supi: Option<Supi>,
        limit: usize,
        reply: oneshot::Sender<Vec<v1::Session>>,
    },
    DeregisterUe {
        supi: Supi,
        reply: oneshot::Sender<Result<(), AmfCommandError>>,
    },
    ReleaseSession {
        supi: Supi,
        session: PduSessionId,
        reply: oneshot::Sender<Result<(), SmfCommandError>>,
    },
    /// The store has forgotten the subscriber: whoever serves the phone is told.
    SubscriberRemoved(Supi),
    /// The exposition of `/metrics`.
    Metrics(oneshot::Sender<String>),
}

/// The service's end of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Asker(mpsc::Sender<Ask>);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the core is busy: {ASKS_MAX} requests are waiting")]
    Busy,
    #[error("the core is stopping")]
    Stopping,
}

impl Asker {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(ASKS_MAX);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.tell(ask(reply))?;
        answer.await.map_err(|_| NoAnswer::Stopping)
    }

    /// Tells, and waits for nothing.
    pub(crate) fn tell(&self, ask: Ask) -> Result<(), NoAnswer> {
        self.0.try_send(ask).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoAnswer::Busy,
            mpsc::error::TrySendError::Closed(_) => NoAnswer::Stopping,
        })
    }
}
