//! A client of one core. It connects when it is first asked, and again after the core was restarted.

use super::convert;
use crate::state::{State, core_id};
use async_trait::async_trait;
use coeur_api::types::{CoreStatus, Gnb, Page, ProcessState, Session, Subscriber, Ue};
use coeur_api::{Acknowledged, Core, CoreError, EventStream, EventsFrom, ImportError, NewSubscriber, PageRequest};
use coeur_model::config::CoreConfig;
use coeur_model::{Ambr, DnnSubscription, PduSessionId, SliceSubscription, SubscriptionProfile, Supi};
use coeur_northbound::METADATA_RECORD;
use coeur_northbound::core_v1 as v1;
use coeur_northbound::core_v1::core_client::CoreClient as Grpc;
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};

/// How long a core may take to answer a question.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long a procedure with a phone may take: T3522 or T3592 run out five times (TS 24.501, table 10.2.2), each up to 16 s.
const PROCEDURE_LIMIT: Duration = Duration::from_secs(90);
/// How long an import may take.
const IMPORT_LIMIT: Duration = Duration::from_secs(300);
/// How long connecting to a Unix socket may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

pub(crate) struct CoreClient {
    name: String,
    grpc: Grpc<Channel>,
    default_profile: SubscriptionProfile,
    state: Arc<State>,
}

impl CoreClient {
    pub(crate) fn new(core: &CoreConfig, socket: PathBuf, state: Arc<State>) -> Self {
        // The URI only names an authority; the connector knows where the core is.
        let endpoint = Endpoint::from_static("http://core").connect_timeout(CONNECT_LIMIT);
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }));
        Self { name: core.name.clone(), grpc: Grpc::new(channel), default_profile: default_profile(core), state }
    }

    fn grpc(&self) -> Grpc<Channel> {
        self.grpc.clone()
    }

    /// A refusal of the core, or the reason why there was no answer.
    fn error(&self, status: &Status) -> CoreError {
        if status.code() == Code::Unavailable
            && let Some(why) = self.why_down()
        {
            return CoreError::Unavailable(why);
        }
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => CoreError::NotFound(message),
            Code::AlreadyExists => CoreError::Exists(message),
            Code::InvalidArgument => CoreError::Invalid(message),
            Code::FailedPrecondition => CoreError::Unfit(message),
            Code::ResourceExhausted => CoreError::Full(message),
            Code::Unavailable => CoreError::Unavailable(format!("core {}: {message}", self.name)),
            Code::DeadlineExceeded | Code::Cancelled => {
                CoreError::Unavailable(format!("core {} did not answer in time", self.name))
            }
            code => CoreError::Internal(format!("core {}: {code:?}: {message}", self.name)),
        }
    }

    /// Known to the supervisor better than to the connection.
    fn why_down(&self) -> Option<String> {
        let child = self.state.child(&core_id(&self.name))?;
        let last = child.last_end.map(|how| format!(" (it ended with {how})")).unwrap_or_default();
        match child.state {
            ProcessState::Ready => None,
            ProcessState::Starting => Some(format!("core {} is starting{last}", self.name)),
            ProcessState::Waiting => Some(format!("core {} is down and will be started again{last}", self.name)),
            ProcessState::Stopping | ProcessState::Stopped => Some(format!("core {} is being stopped", self.name)),
        }
    }
}

/// Every slice of the core is a default one, and has every data network of the core.
fn default_profile(core: &CoreConfig) -> SubscriptionProfile {
    let dnns: Vec<_> = core.dnns.iter().map(|dnn| DnnSubscription::new(dnn.name.clone())).collect();
    let slice = |snssai: &_| SliceSubscription { snssai: *snssai, default: true, dnns: dnns.clone() };
    SubscriptionProfile { ue_ambr: Ambr::default(), slices: core.slices.iter().map(slice).collect() }
}

fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

fn acknowledged(by_the_phone: bool) -> Acknowledged {
    if by_the_phone { Acknowledged::ByThePhone } else { Acknowledged::Locally }
}

fn page<T>(items: Vec<T>, next: String) -> Page<T> {
    Page { items, next: Some(next).filter(|next| !next.is_empty()) }
}

#[async_trait]
impl Core for CoreClient {
    fn default_profile(&self) -> SubscriptionProfile {
        self.default_profile.clone()
    }

    async fn status(&self) -> Result<(CoreStatus, Vec<Gnb>), CoreError> {
        let request = within(ANSWER_LIMIT, v1::GetStatusRequest {});
        let answer = self.grpc().get_status(request).await.map_err(|status| self.error(&status))?;
        convert::status(answer.into_inner())
    }

    async fn ues(&self, wanted: PageRequest) -> Result<Page<Ue>, CoreError> {
        let message = v1::ListUesRequest { page_size: wanted.limit, page_token: wanted.cursor };
        let answer = self.grpc().list_ues(within(ANSWER_LIMIT, message)).await.map_err(|status| self.error(&status))?;
        let answer = answer.into_inner();
        let items = answer.ues.into_iter().map(convert::ue).collect::<Result<_, _>>()?;
        Ok(page(items, answer.next_page_token))
    }

    async fn ue(&self, supi: &Supi) -> Result<Ue, CoreError> {
        let request = within(ANSWER_LIMIT, v1::GetUeRequest { supi: supi.expose() });
        let answer = self.grpc().get_ue(request).await.map_err(|status| self.error(&status))?;
        convert::ue(answer.into_inner())
    }

    async fn deregister_ue(&self, supi: &Supi) -> Result<Acknowledged, CoreError> {
        let request = within(PROCEDURE_LIMIT, v1::DeregisterUeRequest { supi: supi.expose() });
        let answer = self.grpc().deregister_ue(request).await.map_err(|status| self.error(&status))?;
        Ok(acknowledged(answer.into_inner().acknowledged))
    }

    async fn sessions(&self, of: Option<&Supi>, wanted: PageRequest) -> Result<Page<Session>, CoreError> {
        let message = v1::ListSessionsRequest {
            page_size: wanted.limit,
            page_token: wanted.cursor,
            supi: of.map(Supi::expose).unwrap_or_default(),
        };
        let request = within(ANSWER_LIMIT, message);
        let answer = self.grpc().list_sessions(request).await.map_err(|status| self.error(&status))?.into_inner();
        let items = answer.sessions.into_iter().map(convert::session).collect::<Result<_, _>>()?;
        Ok(page(items, answer.next_page_token))
    }

    async fn release_session(&self, supi: &Supi, id: PduSessionId) -> Result<Acknowledged, CoreError> {
        let message = v1::ReleaseSessionRequest { supi: supi.expose(), id: id.get().into() };
        let request = within(PROCEDURE_LIMIT, message);
        let answer = self.grpc().release_session(request).await.map_err(|status| self.error(&status))?;
        Ok(acknowledged(answer.into_inner().acknowledged))
    }

    async fn subscribers(&self, wanted: PageRequest) -> Result<Page<Subscriber>, CoreError> {
        let message = v1::ListSubscribersRequest { page_size: wanted.limit, page_token: wanted.cursor };
        let request = within(ANSWER_LIMIT, message);
        let answer = self.grpc().list_subscribers(request).await.map_err(|status| self.error(&status))?.into_inner();
        let items = answer.subscribers.into_iter().map(convert::subscriber).collect::<Result<_, _>>()?;
        Ok(page(items, answer.next_page_token))
    }

    async fn subscriber(&self, supi: &Supi) -> Result<Subscriber, CoreError> {
        let request = within(ANSWER_LIMIT, v1::GetSubscriberRequest { supi: supi.expose() });
        let answer = self.grpc().get_subscriber(request).await.map_err(|status| self.error(&status))?;
        convert::subscriber(answer.into_inner())
    }

    async fn add_subscriber(&self, new: NewSubscriber) -> Result<Subscriber, CoreError> {
        let request = within(ANSWER_LIMIT, convert::new_subscriber(new));
        let answer = self.grpc().add_subscriber(request).await.map_err(|status| self.error(&status))?;
        convert::subscriber(answer.into_inner())
    }

    async fn update_profile(&self, supi: &Supi, profile: SubscriptionProfile) -> Result<Subscriber, CoreError> {
        let profile = Some(convert::profile_message(profile));
        let request = within(ANSWER_LIMIT, v1::UpdateSubscriberProfileRequest { supi: supi.expose(), profile });
        let answer = self.grpc().update_subscriber_profile(request).await.map_err(|status| self.error(&status))?;
        convert::subscriber(answer.into_inner())
    }

    async fn remove_subscriber(&self, supi: &Supi) -> Result<(), CoreError> {
        let request = within(ANSWER_LIMIT, v1::RemoveSubscriberRequest { supi: supi.expose() });
        self.grpc().remove_subscriber(request).await.map(|_| ()).map_err(|status| self.error(&status))
    }

    async fn import(&self, new: Vec<NewSubscriber>) -> Result<u64, ImportError> {
        let records = tokio_stream::iter(new.into_iter().map(convert::new_subscriber));
        let answer = self.grpc().import_subscribers(within(IMPORT_LIMIT, records)).await;
        answer.map(|answer| answer.into_inner().added).map_err(|status| {
            let index = status.metadata().get(METADATA_RECORD).and_then(|value| value.to_str().ok()?.parse().ok());
            ImportError { record: index, error: self.error(&status) }
        })
    }

    async fn events(&self, from: EventsFrom) -> Result<EventStream, CoreError> {
        let message = match from {
            EventsFrom::Oldest => v1::WatchEventsRequest::default(),
            EventsFrom::After { run, sequence } => v1::WatchEventsRequest { run, after: sequence, live_only: false },
            EventsFrom::Now => v1::WatchEventsRequest { live_only: true, ..Default::default() },
        };
        let opened = tokio::time::timeout(ANSWER_LIMIT, self.grpc().watch_events(message)).await;
        let late = |_| CoreError::Unavailable(format!("core {} did not answer in time", self.name));
        let events = opened.map_err(late)?.map_err(|status| self.error(&status))?.into_inner();
        // An event of a newer core that is not known here is left out; an error ends the stream.
        let events = events.map_while(Result::ok).filter_map(convert::event);
        Ok(Box::pin(events))
    }
}
