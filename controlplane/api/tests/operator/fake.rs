//! A platform of two cores: `plant`, which is well, and `mine`, which is down.

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use coeur_api::types::*;
use coeur_api::{
    Acknowledged, Core, CoreError, EventStream, EventsFrom, ImportError, NewSubscriber, PageRequest, Platform, Problem,
    Token, router,
};
use coeur_model::{DnnSubscription, PduSessionId, SliceSubscription, SubscriptionProfile, Supi};
use http_body_util::BodyExt as _;
use prometheus::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

pub(crate) const PLANT: &str = "/operator/v1/cores/plant";
pub(crate) const MINE: &str = "/operator/v1/cores/mine";
pub(crate) const SUPI: &str = "imsi-001010000000001";
pub(crate) const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
pub(crate) const OP: &str = "cdc202d5123e20f62b6d676ac72cb318";
pub(crate) const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";

/// A core whose answers are prepared, and which remembers what it was told.
pub(crate) struct FakeCore {
    up: bool,
    pub(crate) subscribers: Mutex<BTreeMap<Supi, NewSubscriber>>,
    pub(crate) deregistered: Mutex<Vec<Supi>>,
    pub(crate) released: Mutex<Vec<(Supi, u8)>>,
    pub(crate) watched: Mutex<Vec<EventsFrom>>,
}

pub(crate) struct FakePlatform {
    pub(crate) plant: Arc<FakeCore>,
    mine: Arc<FakeCore>,
    pub(crate) plant_state: CoreState,
}

/// A platform, its API, and a caller who has the token.
pub(crate) struct Fixture {
    pub(crate) plant: Arc<FakeCore>,
    pub(crate) router: Router,
    pub(crate) token: String,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(CoreState::Ready)
    }

    pub(crate) fn with(plant_state: CoreState) -> Self {
        let plant = Arc::new(FakeCore::new(true));
        let platform = FakePlatform { plant: Arc::clone(&plant), mine: Arc::new(FakeCore::new(false)), plant_state };
        let token = Token::random().unwrap();
        let text = token.expose();
        let router = router(Arc::new(platform), token, Registry::new()).unwrap();
        Self { plant, router, token: text }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Request<Body> {
        let builder = Request::builder().method(method).uri(path);
        builder.header(header::AUTHORIZATION, format!("Bearer {}", self.token)).body(Body::empty()).unwrap()
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        Answer::read(self.send(self.request(method, path)).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub(crate) async fn with_body(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = self.request(method, path);
        request.headers_mut().insert(header::CONTENT_TYPE, media_type.parse().unwrap());
        *request.body_mut() = body.into();
        Answer::read(self.send(request).await).await
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: &serde_json::Value) -> Answer {
        self.with_body(method, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn csv(&self, body: impl Into<Body>) -> Answer {
        self.with_body(Method::POST, &format!("{PLANT}/subscribers/import"), "text/csv", body).await
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) media_type: String,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<Body>) -> Self {
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, media_type) = (response.status(), header(header::CONTENT_TYPE).unwrap_or_default());
        let location = header(header::LOCATION);
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        Self { status, media_type, location, text: String::from_utf8(octets.to_vec()).unwrap() }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert!(self.status.is_success(), "{self:?}");
        assert_eq!(self.media_type, "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// A refusal, in the form that every refusal has.
    pub(crate) fn problem(&self) -> Problem {
        assert!(!self.status.is_success(), "{self:?}");
        assert_eq!(self.media_type, "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem.status, self.status.as_u16());
        assert!(problem.kind.starts_with("urn:coeur:problem:") && !problem.title.is_empty());
        problem
    }

    /// Kind (without its prefix), field, and text of a refusal.
    pub(crate) fn refused(&self) -> (u16, String, Option<String>, String) {
        let problem = self.problem();
        (problem.status, problem.kind["urn:coeur:problem:".len()..].to_owned(), problem.field, problem.detail)
    }
}

impl FakeCore {
    fn new(up: bool) -> Self {
        Self {
            up,
            subscribers: Mutex::default(),
            deregistered: Mutex::default(),
            released: Mutex::default(),
            watched: Mutex::default(),
        }
    }

    fn check(&self) -> Result<(), CoreError> {
        if self.up { Ok(()) } else { Err(CoreError::Unavailable("core mine is down".into())) }
    }
}

pub(crate) fn supi() -> Supi {
    SUPI.parse().unwrap()
}

fn subscriber(new: &NewSubscriber) -> Subscriber {
    Subscriber {
        supi: new.supi.expose(),
        profile: new.profile.clone().into(),
        created: Timestamp::from_unix_ms(1_000),
        updated: Timestamp::from_unix_ms(2_000),
    }
}

fn paged<T>(items: Vec<T>, page: &PageRequest, key: impl Fn(&T) -> String) -> Page<T> {
    let mut items: Vec<T> =
        items.into_iter().filter(|item| page.cursor.is_empty() || key(item) > page.cursor).collect();
    let more = items.len() > page.limit as usize;
    items.truncate(page.limit as usize);
    let next = items.last().filter(|_| more).map(key);
    Page { items, next }
}

#[async_trait]
impl Core for FakeCore {
    fn default_profile(&self) -> SubscriptionProfile {
        let dnns = vec![DnnSubscription::new("internet".parse().unwrap())];
        let slice = SliceSubscription { snssai: "1".parse().unwrap(), default: true, dnns };
        SubscriptionProfile { ue_ambr: Default::default(), slices: vec![slice] }
    }

    async fn status(&self) -> Result<(CoreStatus, Vec<Gnb>), CoreError> {
        self.check()?;
        let gnb = |id| Gnb {
            id: GnbId { plmn: "00101".into(), id, bits: 22 },
            name: None,
            address: "10.0.0.2:38412".into(),
            tais: vec![Tai { plmn: "00101".into(), tac: 1 }],
            connected: Timestamp::from_unix_ms(0),
            ues_connected: 0,
        };
        let user_plane = UserPlane {
            node: "127.0.0.8".into(),
            state: UserPlaneState::Associated,
            since: Timestamp::from_unix_ms(0),
        };
        let status = CoreStatus {
            name: "plant".into(),
            version: "0.1.0".into(),
            plmn: "00101".into(),
            started: Timestamp::from_unix_ms(0),
            uptime_ms: 5,
            ready: true,
            ready_after_ms: Some(4),
            sctp: Some(SctpImplementation::Usrsctp),
            n2: Some("10.0.0.1:38412".into()),
            user_plane,
            gnbs: 3,
            ues_registered: 1,
            ues_connected: 1,
            sessions: 2,
            subscribers: 0,
        };
        Ok((status, vec![gnb(3), gnb(1), gnb(2)]))
    }

    async fn ues(&self, page: PageRequest) -> Result<Page<Ue>, CoreError> {
        self.check()?;
        Ok(paged(vec![self.ue(&supi()).await?], &page, |ue| ue.supi.clone()))
    }

    async fn ue(&self, wanted: &Supi) -> Result<Ue, CoreError> {
        self.check()?;
        if *wanted != supi() {
            return Err(CoreError::NotFound("the phone is not registered".into()));
        }
        Ok(Ue {
            supi: SUPI.into(),
            cm_state: CmState::Connected,
            tmsi: "0000c0de".into(),
            gnb: None,
            tai: None,
            allowed_slices: vec!["1".into()],
            sessions: 2,
            registered: Timestamp::from_unix_ms(0),
        })
    }

    async fn deregister_ue(&self, supi: &Supi) -> Result<Acknowledged, CoreError> {
        self.ue(supi).await?;
        let mut deregistered = self.deregistered.lock().unwrap();
        deregistered.push(supi.clone());
        Ok(if deregistered.len() == 1 { Acknowledged::ByThePhone } else { Acknowledged::Locally })
    }

    async fn sessions(&self, of: Option<&Supi>, page: PageRequest) -> Result<Page<Session>, CoreError> {
        self.check()?;
        let session = |id| Session {
            supi: SUPI.into(),
            id,
            dnn: "internet".into(),
            snssai: "1".into(),
            ipv4: Some([10, 45, 0, id].into()),
            state: SessionState::Active,
            established: Timestamp::from_unix_ms(0),
            session_ambr: None,
            five_qi: 9,
        };
        let sessions = if of.is_none_or(|of| *of == supi()) { vec![session(1), session(2)] } else { Vec::new() };
        Ok(paged(sessions, &page, |session| format!("{}/{:02}", session.supi, session.id)))
    }

    async fn release_session(&self, supi: &Supi, id: PduSessionId) -> Result<Acknowledged, CoreError> {
        self.check()?;
        if id.get() > 2 {
            return Err(CoreError::NotFound("no such session".into()));
        }
        self.released.lock().unwrap().push((supi.clone(), id.get()));
        Ok(Acknowledged::ByThePhone)
    }

    async fn subscribers(&self, page: PageRequest) -> Result<Page<Subscriber>, CoreError> {
        self.check()?;
        let all = self.subscribers.lock().unwrap().values().map(subscriber).collect();
        Ok(paged(all, &page, |subscriber| subscriber.supi.clone()))
    }

    async fn subscriber(&self, supi: &Supi) -> Result<Subscriber, CoreError> {
        self.check()?;
        let found = self.subscribers.lock().unwrap().get(supi).map(subscriber);
        found.ok_or_else(|| CoreError::NotFound("no such subscriber".into()))
    }

    async fn add_subscriber(&self, new: NewSubscriber) -> Result<Subscriber, CoreError> {
        self.import(vec![new.clone()]).await.map_err(|error| error.error)?;
        Ok(subscriber(&new))
    }

    async fn update_profile(&self, supi: &Supi, profile: SubscriptionProfile) -> Result<Subscriber, CoreError> {
        self.check()?;
        let mut subscribers = self.subscribers.lock().unwrap();
        let found = subscribers.get_mut(supi).ok_or_else(|| CoreError::NotFound("no such subscriber".into()))?;
        found.profile = profile;
        Ok(subscriber(found))
    }

    async fn remove_subscriber(&self, supi: &Supi) -> Result<(), CoreError> {
        self.check()?;
        let removed = self.subscribers.lock().unwrap().remove(supi);
        removed.map(drop).ok_or_else(|| CoreError::NotFound("no such subscriber".into()))
    }

    async fn import(&self, new: Vec<NewSubscriber>) -> Result<u64, ImportError> {
        self.check()?;
        let mut subscribers = self.subscribers.lock().unwrap();
        for (index, new) in new.iter().enumerate() {
            let unknown = new.profile.slices.iter().any(|slice| slice.snssai.sst == 99);
            let error = match (subscribers.contains_key(&new.supi), unknown) {
                (true, _) => CoreError::Exists("the subscriber is there already".into()),
                (_, true) => CoreError::Unfit("slice 99: the core has slices 1".into()),
                _ => continue,
            };
            return Err(ImportError { record: Some(index), error });
        }
        let added = new.len() as u64;
        subscribers.extend(new.into_iter().map(|new| (new.supi.clone(), new)));
        Ok(added)
    }

    async fn events(&self, from: EventsFrom) -> Result<EventStream, CoreError> {
        self.check()?;
        self.watched.lock().unwrap().push(from);
        let event = |sequence, what| Event { run: 7, sequence, time: Timestamp::from_unix_ms(0), what };
        let events = [event(1, What::UeRegistered { supi: SUPI.into() }), event(2, What::EventsLost { count: 3 })];
        Ok(Box::pin(tokio_stream::iter(events)))
    }
}

impl Platform for FakePlatform {
    fn cores(&self) -> Vec<CoreSummary> {
        let summary = |name: &str, state| CoreSummary {
            name: name.into(),
            plmn: "00101".into(),
            state,
            processes: vec![Process {
                kind: ProcessKind::Core,
                state: ProcessState::Ready,
                pid: Some(1),
                restarts: 0,
                ready_after_ms: Some(1),
                last_end: None,
            }],
        };
        let mine = if self.plant_state == CoreState::Ready { CoreState::Ready } else { CoreState::Down };
        vec![summary("mine", mine), summary("plant", self.plant_state)]
    }

    fn core(&self, name: &str) -> Option<Arc<dyn Core>> {
        match name {
            "plant" => Some(self.plant.clone()),
            "mine" => Some(self.mine.clone()),
            _ => None,
        }
    }
}
