//! A client of the operator API.

use crate::cli::Global;
use crate::failure::{Code, Failure};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use coeur_api::types::{CoreSummary, Page};
use coeur_api::{PAGE_ITEMS_MAX, Problem, Token};
use coeur_platform::config::{ApiConfig, Config};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a platform's file is unless told.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/coeur/coeur.toml";
/// Where its token is if it has no file that says so.
const TOKEN_DEFAULT: &str = "/var/lib/coeur/operator.token";
/// Largest answer.
const ANSWER_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// How long an answer may take: an import of a million subscribers is the longest.
const ANSWER_LIMIT: Duration = Duration::from_secs(600);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Client {
    http: Http<HttpConnector, Body>,
    base: String,
    authorization: HeaderValue,
}

impl Client {
    /// From arguments, else from the platform's file, else from where things usually are.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let config = match (&global.api, &global.token_file) {
            (Some(_), Some(_)) => None,
            _ => config(global.config.as_deref())?,
        };
        let base = match (&global.api, &config) {
            (Some(url), _) => checked(url)?,
            (None, Some(config)) => format!("http://{}", reachable(config.api.listen)),
            (None, None) => format!("http://{}", ApiConfig::default().listen),
        };
        let token_file = match (&global.token_file, &config) {
            (Some(file), _) => file.clone(),
            (None, Some(config)) => config.token_file(),
            (None, None) => PathBuf::from(TOKEN_DEFAULT),
        };
        let token = Token::read(&token_file).map_err(|error| {
            Failure::new(Code::Unauthorized, error.to_string())
                .hint("`coeur up` makes it at its first start; --config or --token-file says where it is")
        })?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::new(Code::Failed, "a token that is no header"))?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        Ok(Self { http: Http::builder(TokioExecutor::new()).build(connector), base, authorization })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(self.send(Method::GET, path, None).await?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(self.send(Method::POST, path, None).await?).await
    }

    pub(crate) async fn post_csv<T: DeserializeOwned>(&self, path: &str, csv: Vec<u8>) -> Result<T, Failure> {
        read(self.send(Method::POST, path, Some(("text/csv", csv))).await?).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// An answer that does not end: its body, part by part.
    pub(crate) async fn stream(&self, path: &str) -> Result<Body, Failure> {
        Ok(self.send(Method::GET, path, None).await?.into_body())
    }

    /// A whole list, in parts; at most `limit` items.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: Option<usize>,
        mut part: impl FnMut(&[T]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut cursor = String::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        while left > 0 {
            let size = left.min(PAGE_ITEMS_MAX as usize);
            let page: Page<T> = self.get(&format!("{path}{separator}limit={size}{cursor}")).await?;
            part(&page.items)?;
            left = left.saturating_sub(page.items.len());
            match page.next {
                Some(next) => cursor = format!("&cursor={}", encode(&next)),
                None => break,
            }
        }
        Ok(())
    }

    /// The path of the core that is meant.
    pub(crate) async fn core(&self, named: Option<&str>) -> Result<String, Failure> {
        if let Some(name) = named {
            return Ok(format!("/operator/v1/cores/{}", encode(name)));
        }
        let cores: Page<CoreSummary> = self.get("/operator/v1/cores?limit=10").await?;
        match &cores.items[..] {
            [only] => Ok(format!("/operator/v1/cores/{}", only.name)),
            several => {
                let names: Vec<_> = several.iter().map(|core| core.name.as_str()).collect();
                let message = format!("this platform has several cores: {}", names.join(", "));
                Err(Failure::new(Code::Wrong, message).hint("--core says which is meant"))
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(format!("{}{path}", self.base))
            .map_err(|error| Failure::new(Code::Wrong, format!("{}{path}: {error}", self.base)))?;
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        if let Some((media_type, octets)) = body {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            *request.body_mut() = Body::from(octets);
        }
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.http.request(request)).await;
        let response =
            answer.map_err(|_| self.silent("no answer in time"))?.map_err(|error| self.silent(&cause(&error)))?;
        match response.status().is_success() {
            true => Ok(response.map(Body::new)),
            false => Err(refusal(response.map(Body::new)).await),
        }
    }

    fn silent(&self, why: &str) -> Failure {
        Failure::new(Code::Unavailable, format!("the operator API at {} does not answer: {why}", self.base))
            .hint("is `coeur up` running? --config or --api says where its API is")
    }
}

/// The platform's file, if there is one.
fn config(named: Option<&Path>) -> Result<Option<Config>, Failure> {
    let file = match named {
        Some(file) => file,
        None if Path::new(CONFIG_DEFAULT).exists() => Path::new(CONFIG_DEFAULT),
        None => return Ok(None),
    };
    Config::read(file).map(Some).map_err(|fault| Failure::new(Code::Wrong, fault.to_string()))
}

/// Who listens everywhere is reached here.
fn reachable(mut listen: std::net::SocketAddr) -> std::net::SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    listen
}

fn checked(url: &str) -> Result<String, Failure> {
    let wrong = |expected: &str| Failure::new(Code::Wrong, format!("--api {url}: expected {expected}"));
    let uri: Uri = url.parse().map_err(|_| wrong("a URL, as http://127.0.0.1:8080"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("http: this program does not speak TLS"));
    }
    if uri.authority().is_none() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("a URL without a path, as http://127.0.0.1:8080"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The innermost reason: `Connection refused`, rather than `client error (Connect)`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn octets(body: Body) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, ANSWER_OCTETS_MAX).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| Failure::new(Code::Unavailable, format!("half an answer: {error}")))
}

async fn read<T: DeserializeOwned>(response: Response<Body>) -> Result<T, Failure> {
    let octets = octets(response.into_body()).await?;
    serde_json::from_slice(&octets).map_err(|error| {
        Failure::new(Code::Failed, format!("an answer that is not understood: {error}"))
            .hint("is this program of the same version as the platform?")
    })
}

async fn refusal(response: Response<Body>) -> Failure {
    let status = response.status();
    let octets = octets(response.into_body()).await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&octets) {
        Ok(problem) => problem.into(),
        Err(_) => Failure::new(Code::Failed, format!("{}: no operator API answers so", shown(status)))
            .hint("does --api say the right place?"),
    }
}

fn shown(status: StatusCode) -> String {
    format!("HTTP status {status}")
}

/// Percent-encoding (RFC 3986, 2.1) of all but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(octet.into()),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A client of a server that gives these answers, one a connection, and the requests that came.
    async fn against(answers: &[(&str, &str)]) -> (Client, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<_> = answers
            .iter()
            .map(|(status, body)| {
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            })
            .collect();
        let server = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut octets = vec![0; 4096];
                let length = stream.read(&mut octets).await.unwrap();
                requests.push(String::from_utf8_lossy(&octets[..length]).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        (client(base), server)
    }

    fn client(base: String) -> Client {
        let http = Http::builder(TokioExecutor::new()).build(HttpConnector::new());
        Client { http, base, authorization: HeaderValue::from_static("Bearer t") }
    }

    #[tokio::test]
    async fn a_list_is_asked_for_in_parts_until_it_ends_or_is_long_enough() {
        let pages = [("200 OK", r#"{"items":[1,2],"next":"a/b"}"#), ("200 OK", r#"{"items":[3]}"#)];
        let (client, server) = against(&pages).await;
        let mut seen = Vec::new();
        let part = |items: &[u8]| {
            seen.extend_from_slice(items);
            Ok(())
        };
        client.pages("/list?supi=x", Some(7), part).await.unwrap();
        assert_eq!(seen, [1, 2, 3]);
        let requests = server.await.unwrap();
        assert!(requests[0].starts_with("GET /list?supi=x&limit=7 HTTP/1.1"), "{}", requests[0]);
        assert!(requests[0].contains("authorization: Bearer t"), "{}", requests[0]);
        assert!(requests[1].starts_with("GET /list?supi=x&limit=5&cursor=a%2Fb HTTP/1.1"), "{}", requests[1]);

        let (client, server) = against(&pages[..1]).await;
        client.pages("/list", Some(2), |_: &[u8]| Ok(())).await.unwrap();
        assert_eq!(server.await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_only_core_needs_no_name_and_several_do() {
        let core = |name: &str| format!(r#"{{"name":"{name}","plmn":"00101","state":"ready","processes":[]}}"#);
        let one = format!(r#"{{"items":[{}]}}"#, core("plant"));
        let (client, _server) = against(&[("200 OK", &one)]).await;
        assert_eq!(client.core(None).await.unwrap(), "/operator/v1/cores/plant");
        let two = format!(r#"{{"items":[{},{}]}}"#, core("mine"), core("plant"));
        let (client, _server) = against(&[("200 OK", &two)]).await;
        let failure = client.core(None).await.unwrap_err();
        assert!(failure.message.contains("mine, plant") && failure.hint.unwrap().contains("--core"));
        assert_eq!(client.core(Some("plant/..")).await.unwrap(), "/operator/v1/cores/plant%2F..");
    }

    #[tokio::test]
    async fn refusals_nonsense_and_silence_are_told_apart() {
        let problem = serde_json::to_string(&Problem::not_found("no such subscriber")).unwrap();
        for (status, body, code, says) in [
            ("404 Not Found", problem.as_str(), Code::NotFound, "no such subscriber"),
            ("502 Bad Gateway", "<html>", Code::Failed, "HTTP status 502"),
            ("200 OK", "{", Code::Failed, "not understood"),
        ] {
            let (client, _server) = against(&[(status, body)]).await;
            let failure = client.get::<Vec<u8>>("/x").await.unwrap_err();
            assert!(failure.code == code && failure.message.contains(says), "{failure:?}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let failure = client(base).get::<Vec<u8>>("/x").await.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        assert!(failure.message.contains("onnection refused") && failure.hint.is_some(), "{failure:?}");
    }

    #[test]
    fn a_url_is_checked_before_anything_is_sent_there() {
        assert_eq!(checked("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(checked("http://[::1]:8080").unwrap(), "http://[::1]:8080");
        for (wrong, says) in [("https://x", "TLS"), ("http://x/y", "without a path"), ("x y", "a URL"), ("/x", "http")]
        {
            let failure = checked(wrong).unwrap_err();
            assert!(failure.message.contains(says), "{wrong}: {}", failure.message);
        }
    }

    #[test]
    fn who_listens_everywhere_is_reached_on_this_machine() {
        for (listen, reached) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_url_is_encoded() {
        assert_eq!(encode("imsi-001/5 é&"), "imsi-001%2F5%20%C3%A9%26");
    }
}
