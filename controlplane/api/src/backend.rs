//! What the API asks of the platform and of one core.

use crate::types::{CoreStatus, CoreSummary, Event, Gnb, Page, Session, Subscriber, Ue};
use async_trait::async_trait;
use coeur_model::{PduSessionId, Secret, SubscriptionProfile, Supi};
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::Stream;

/// The hosted cores.
pub trait Platform: Send + Sync + 'static {
    /// Every hosted core as its supervisor sees it, in the order of their names.
    fn cores(&self) -> Vec<CoreSummary>;
    /// None: there is no such core.
    fn core(&self, name: &str) -> Option<Arc<dyn Core>>;
}

/// One core. Every method ends within a limit of the implementation, with [`CoreError::Unavailable`] if need be.
#[async_trait]
pub trait Core: Send + Sync {
    /// What a subscriber gets that is added without a profile.
    fn default_profile(&self) -> SubscriptionProfile;

    /// How the core is, and its gNBs.
    async fn status(&self) -> Result<(CoreStatus, Vec<Gnb>), CoreError>;

    async fn ues(&self, page: PageRequest) -> Result<Page<Ue>, CoreError>;
    async fn ue(&self, supi: &Supi) -> Result<Ue, CoreError>;
    async fn deregister_ue(&self, supi: &Supi) -> Result<Acknowledged, CoreError>;

    async fn sessions(&self, of: Option<&Supi>, page: PageRequest) -> Result<Page<Session>, CoreError>;
    async fn release_session(&self, supi: &Supi, id: PduSessionId) -> Result<Acknowledged, CoreError>;

    async fn subscribers(&self, page: PageRequest) -> Result<Page<Subscriber>, CoreError>;
    async fn subscriber(&self, supi: &Supi) -> Result<Subscriber, CoreError>;
    async fn add_subscriber(&self, new: NewSubscriber) -> Result<Subscriber, CoreError>;
    async fn update_profile(&self, supi: &Supi, profile: SubscriptionProfile) -> Result<Subscriber, CoreError>;
    async fn remove_subscriber(&self, supi: &Supi) -> Result<(), CoreError>;
    /// All or none. The answer is how many.
    async fn import(&self, new: Vec<NewSubscriber>) -> Result<u64, ImportError>;

    async fn events(&self, from: EventsFrom) -> Result<EventStream, CoreError>;
}

pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// How a procedure with a phone ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    ByThePhone,
    /// The phone did not answer; the network did it alone.
    Locally,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    pub limit: u32,
    /// `next` of the page before; empty for the first. What it means is the implementation's affair.
    pub cursor: String,
}

/// Where a stream of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsFrom {
    /// With the oldest that the core still keeps.
    Oldest,
    /// After this one, if `run` is still the core's run; else with the oldest.
    After { run: u64, sequence: u64 },
    /// With what happens from now on.
    Now,
}

/// A subscriber to be added, checked as far as one can without the core.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSubscriber {
    pub supi: Supi,
    pub k: Secret<16>,
    pub opc: Secret<16>,
    /// Authentication management field.
    pub amf: [u8; 2],
    /// 48 bits.
    pub sqn: u64,
    pub profile: SubscriptionProfile,
}

/// Why a core did not do what it was asked. The text says what was wrong and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Exists(String),
    /// The caller's request is not well formed.
    #[error("{0}")]
    Invalid(String),
    /// The request does not fit the core's configuration or state.
    #[error("{0}")]
    Unfit(String),
    /// A limit was reached.
    #[error("{0}")]
    Full(String),
    /// The core is down, starting, stopping, or its store cannot be used.
    #[error("{0}")]
    Unavailable(String),
    /// A bug of the core.
    #[error("{0}")]
    Internal(String),
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct ImportError {
    /// Index of the record at fault, from 0.
    pub record: Option<usize>,
    pub error: CoreError,
}

impl From<CoreError> for ImportError {
    fn from(error: CoreError) -> Self {
        Self { record: None, error }
    }
}
