//! The northbound contract, served: reads and commands go to the loop, subscribers to the store.

use crate::ask::{Ask, Asker, NoAnswer};
use crate::convert::{self, WrongField, parse};
use crate::events::{EventLog, Numbered};
use coeur_model::config::CoreConfig;
use coeur_model::{DnnSubscription, PduSessionId, Secret, SliceSubscription, SubscriptionProfile, Supi};
use coeur_nf::services::namf::AmfCommandError;
use coeur_nf::services::nsmf::SmfCommandError;
use coeur_northbound::core_v1 as v1;
use coeur_northbound::{IMPORT_RECORDS_MAX, METADATA_RECORD, page_size};
use coeur_store::{NewSubscriber, Store, Subscriber, SubscriberError};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

/// How many events a watcher is given at once.
const WATCH_BATCH_MAX: usize = 256;

/// The service of one core.
#[derive(Clone)]
pub(crate) struct Northbound {
    pub(crate) asker: Asker,
    pub(crate) store: Store,
    pub(crate) events: Arc<EventLog>,
    pub(crate) config: Arc<CoreConfig>,
}

#[tonic::async_trait]
impl v1::core_server::Core for Northbound {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::Status>, Status> {
        let mut status = self.asker.ask(Ask::Status).await?;
        status.subscribers = self.store.count_subscribers().await.map_err(refusal)?;
        Ok(Response::new(status))
    }

    async fn list_ues(&self, request: Request<v1::ListUesRequest>) -> Result<Response<v1::ListUesResponse>, Status> {
        let request = request.into_inner();
        let after = after(&request.page_token)?;
        let limit = page_size(request.page_size) as usize;
        let ues = self.asker.ask(|reply| Ask::Ues { after, limit, reply }).await?;
        let next_page_token = next_page(&ues, limit, |ue| ue.supi.clone());
        Ok(Response::new(v1::ListUesResponse { ues, next_page_token }))
    }

    async fn get_ue(&self, request: Request<v1::GetUeRequest>) -> Result<Response<v1::Ue>, Status> {
        let supi: Supi = parse("supi", &request.into_inner().supi)?;
        let ue = self.asker.ask(|reply| Ask::Ue { supi, reply }).await?;
        ue.map(Response::new).ok_or_else(|| Status::not_found("the phone is not registered"))
    }

    async fn deregister_ue(
        &self,
        request: Request<v1::DeregisterUeRequest>,
    ) -> Result<Response<v1::DeregisterUeResponse>, Status> {
        let supi: Supi = parse("supi", &request.into_inner().supi)?;
        let acknowledged = match self.asker.ask(|reply| Ask::DeregisterUe { supi, reply }).await? {
            Ok(()) => true,
            Err(AmfCommandError::NoAnswer) => false,
            Err(error @ (AmfCommandError::NotRegistered | AmfCommandError::NotConnected)) => {
                return Err(Status::not_found(error.to_string()));
            }
        };
        Ok(Response::new(v1::DeregisterUeResponse { acknowledged }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let supi = match request.supi.as_str() {
            "" => None,
            supi => Some(parse("supi", supi)?),
        };
        let after = session_after(&request.page_token)?;
        let limit = page_size(request.page_size) as usize;
        let sessions = self.asker.ask(|reply| Ask::Sessions { after, supi, limit, reply }).await?;
        let next_page_token = next_page(&sessions, limit, |session| format!("{}/{}", session.supi, session.id));
        Ok(Response::new(v1::ListSessionsResponse { sessions, next_page_token }))
    }

    async fn release_session(
        &self,
        request: Request<v1::ReleaseSessionRequest>,
    ) -> Result<Response<v1::ReleaseSessionResponse>, Status> {
        let request = request.into_inner();
        let supi: Supi = parse("supi", &request.supi)?;
        let session = session_id(request.id)?;
        let acknowledged = match self.asker.ask(|reply| Ask::ReleaseSession { supi, session, reply }).await? {
            Ok(()) => true,
            Err(SmfCommandError::NoAnswer) => false,
            Err(error @ SmfCommandError::NoSuchSession) => return Err(Status::not_found(error.to_string())),
        };
        Ok(Response::new(v1::ReleaseSessionResponse { acknowledged }))
    }

    async fn add_subscriber(
        &self,
        request: Request<v1::AddSubscriberRequest>,
    ) -> Result<Response<v1::Subscriber>, Status> {
        let new = self.new_subscriber(request.into_inner())?;
        let subscriber = self.store.add_subscriber(new).await.map_err(refusal)?;
        Ok(Response::new(subscriber_message(&subscriber)))
    }

    async fn get_subscriber(
        &self,
        request: Request<v1::GetSubscriberRequest>,
    ) -> Result<Response<v1::Subscriber>, Status> {
        let supi: Supi = parse("supi", &request.into_inner().supi)?;
        let subscriber = self.store.subscriber(&supi).await.map_err(refusal)?;
        Ok(Response::new(subscriber_message(&subscriber)))
    }

    async fn list_subscribers(
        &self,
        request: Request<v1::ListSubscribersRequest>,
    ) -> Result<Response<v1::ListSubscribersResponse>, Status> {
        let request = request.into_inner();
        let after = after(&request.page_token)?;
        let limit = page_size(request.page_size);
        let subscribers = self.store.list_subscribers(after.as_ref(), limit).await.map_err(refusal)?;
        let subscribers: Vec<_> = subscribers.iter().map(subscriber_message).collect();
        let next_page_token = next_page(&subscribers, limit as usize, |subscriber| subscriber.supi.clone());
        Ok(Response::new(v1::ListSubscribersResponse { subscribers, next_page_token }))
    }

    async fn remove_subscriber(
        &self,
        request: Request<v1::RemoveSubscriberRequest>,
    ) -> Result<Response<v1::RemoveSubscriberResponse>, Status> {
        let supi: Supi = parse("supi", &request.into_inner().supi)?;
        self.store.remove_subscriber(&supi).await.map_err(refusal)?;
        self.asker.tell(Ask::SubscriberRemoved(supi))?;
        Ok(Response::new(v1::RemoveSubscriberResponse {}))
    }

    async fn import_subscribers(
        &self,
        request: Request<Streaming<v1::AddSubscriberRequest>>,
    ) -> Result<Response<v1::ImportSubscribersResponse>, Status> {
        let mut stream = request.into_inner();
        let mut records = Vec::new();
        while let Some(record) = stream.message().await? {
            if records.len() == IMPORT_RECORDS_MAX {
                let message = format!("an import has at most {IMPORT_RECORDS_MAX} records");
                return Err(Status::resource_exhausted(message));
            }
            let index = records.len();
            records.push(self.new_subscriber(record).map_err(|status| at_record(status, index))?);
        }
        let added = self.store.import_subscribers(records).await.map_err(|(index, error)| match index {
            Some(index) => at_record(refusal(error), index),
            None => refusal(error),
        })?;
        Ok(Response::new(v1::ImportSubscribersResponse { added }))
    }

    async fn update_subscriber_profile(
        &self,
        request: Request<v1::UpdateSubscriberProfileRequest>,
    ) -> Result<Response<v1::Subscriber>, Status> {
        let request = request.into_inner();
        let supi: Supi = parse("supi", &request.supi)?;
        let profile = request.profile.as_ref().ok_or_else(|| WrongField::new("profile", "expected a profile"))?;
        let profile = self.checked(convert::profile(profile)?)?;
        let subscriber = self.store.update_profile(&supi, profile).await.map_err(refusal)?;
        Ok(Response::new(subscriber_message(&subscriber)))
    }

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let newest = self.events.watch();
        let after = match (request.live_only, request.run == self.events.run) {
            (true, _) => *newest.borrow(),
            (false, true) => request.after,
            (false, false) => 0,
        };
        let watcher = Watcher { log: Arc::clone(&self.events), newest, after, ready: VecDeque::new() };
        let stream = event_stream(watcher);
        Ok(Response::new(Box::pin(stream)))
    }
}

impl Northbound {
    fn new_subscriber(&self, request: v1::AddSubscriberRequest) -> Result<NewSubscriber, Status> {
        let profile = match &request.profile {
            Some(profile) => self.checked(convert::profile(profile)?)?,
            None => self.everything(),
        };
        let amf = match request.amf.as_slice() {
            [] => [0x80, 0x00],
            [a, b] => [*a, *b],
            _ => return Err(WrongField::new("amf", "expected 2 octets").into()),
        };
        if request.sqn >= 1 << 48 {
            return Err(WrongField::new("sqn", "expected at most 48 bits").into());
        }
        Ok(NewSubscriber {
            supi: parse("supi", &request.supi)?,
            k: key("k", &request.k)?,
            opc: key("opc", &request.opc)?,
            amf,
            sqn: request.sqn,
            profile,
        })
    }

    /// Every slice of the core as a default one, with every data network of the core.
    fn everything(&self) -> SubscriptionProfile {
        let dnns: Vec<_> = self.config.dnns.iter().map(|dnn| DnnSubscription::new(dnn.name.clone())).collect();
        let slice = |snssai: &_| SliceSubscription { snssai: *snssai, default: true, dnns: dnns.clone() };
        SubscriptionProfile { ue_ambr: Default::default(), slices: self.config.slices.iter().map(slice).collect() }
    }

    /// A profile may name only what the core has.
    fn checked(&self, profile: SubscriptionProfile) -> Result<SubscriptionProfile, Status> {
        for slice in &profile.slices {
            if !self.config.slices.contains(&slice.snssai) {
                return Err(Status::failed_precondition(format!("the core has no slice {}", slice.snssai)));
            }
            for dnn in &slice.dnns {
                let Some(known) = self.config.dnn(&dnn.dnn) else {
                    return Err(Status::failed_precondition(format!("the core has no data network {}", dnn.dnn)));
                };
                if let Some(ipv4) = dnn.ipv4.filter(|ipv4| known.pool.index(*ipv4).is_none()) {
                    let message = format!("{ipv4} is not an address of the pool of {} ({})", dnn.dnn, known.pool);
                    return Err(Status::failed_precondition(message));
                }
            }
        }
        Ok(profile)
    }
}

/// A reader of the event log.
struct Watcher {
    log: Arc<EventLog>,
    newest: tokio::sync::watch::Receiver<u64>,
    after: u64,
    ready: VecDeque<v1::Event>,
}

impl Watcher {
    /// The next event; none when the core stops.
    async fn next(&mut self) -> Option<v1::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.newest.borrow_and_update();
            let read = self.log.read(self.after, WATCH_BATCH_MAX);
            if let (true, Some(first)) = (read.lost > 0, read.events.first()) {
                let lost = convert::events_lost_message(self.log.run, first.sequence, read.lost, first.unix_ms);
                self.ready.push_back(lost);
            }
            self.after = read.events.last().map_or(self.after, |last| last.sequence);
            let run = self.log.run;
            self.ready.extend(read.events.into_iter().map(|event: Numbered| convert::event_message(run, event)));
            if self.ready.is_empty() {
                self.newest.changed().await.ok()?;
            }
        }
    }
}

fn event_stream(watcher: Watcher) -> impl Stream<Item = Result<v1::Event, Status>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel(WATCH_BATCH_MAX);
    tokio::spawn(async move {
        let mut watcher = watcher;
        loop {
            let event = tokio::select! {
                event = watcher.next() => event,
                () = sender.closed() => return,
            };
            let Some(event) = event else { return };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

fn key(field: &'static str, octets: &[u8]) -> Result<Secret<16>, WrongField> {
    let octets = octets.try_into().map_err(|_| WrongField::new(field, "expected 16 octets"))?;
    Ok(Secret::new(octets))
}

fn session_id(id: u32) -> Result<PduSessionId, WrongField> {
    let id = u8::try_from(id).map_err(|_| WrongField::new("id", "expected 1 to 15"))?;
    PduSessionId::new(id).map_err(|error| WrongField::new("id", error))
}

/// A page token is the last SUPI of the page before.
fn after(page_token: &str) -> Result<Option<Supi>, WrongField> {
    if page_token.is_empty() { Ok(None) } else { parse("page_token", page_token).map(Some) }
}

fn session_after(page_token: &str) -> Result<Option<(Supi, PduSessionId)>, WrongField> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let wrong = || WrongField::new("page_token", "expected a token that a former page gave");
    let (supi, id) = page_token.split_once('/').ok_or_else(wrong)?;
    Ok(Some((parse("page_token", supi)?, session_id(id.parse().map_err(|_| wrong())?)?)))
}

fn next_page<T>(items: &[T], limit: usize, token: impl Fn(&T) -> String) -> String {
    if items.len() < limit { String::new() } else { items.last().map(token).unwrap_or_default() }
}

fn subscriber_message(subscriber: &Subscriber) -> v1::Subscriber {
    v1::Subscriber {
        supi: subscriber.supi.expose(),
        profile: Some(convert::profile_message(&subscriber.profile)),
        created_unix_ms: subscriber.created_unix_ms,
        updated_unix_ms: subscriber.updated_unix_ms,
    }
}

fn refusal(error: SubscriberError) -> Status {
    match error {
        SubscriberError::NotFound => Status::not_found(error.to_string()),
        SubscriberError::Exists(_) => Status::already_exists(error.to_string()),
        SubscriberError::Unavailable(_) => Status::unavailable(error.to_string()),
    }
}

fn at_record(mut status: Status, index: usize) -> Status {
    status.metadata_mut().insert(METADATA_RECORD, (index as u64).into());
    status
}

impl From<WrongField> for Status {
    fn from(wrong: WrongField) -> Self {
        Self::invalid_argument(wrong.to_string())
    }
}

impl From<NoAnswer> for Status {
    fn from(no_answer: NoAnswer) -> Self {
        Self::unavailable(no_answer.to_string())
    }
}
