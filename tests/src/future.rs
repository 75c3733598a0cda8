//! A server from the future: a real one of this version behind a proxy that adds to its answers what a later version might,
//! and signs them anew with the server's own key. Without a change it passes everything on, which is the control.

use crate::Server;
use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_protocol::encoding::{base64url, from_base64url};
use portcullis_protocol::{Origin, SecretKey, paths};
use portcullis_server::ops::config::{Config, Overrides};
use portcullis_server::{Parts, open};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bodies that pass: sealed files of tests.
const MOST: usize = 64 * 1024 * 1024;
/// Headers that are of one connection.
const OF_THE_LINE: [header::HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::HOST];

/// What signs as the server does.
#[derive(Clone)]
pub struct Pen(Arc<SecretKey>);

impl Pen {
    /// A compact document of this type, whatever it says.
    #[must_use]
    pub fn sign(&self, typ: &str, payload: &Value) -> String {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, self.0.public().thumbprint());
        let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.to_string().as_bytes()));
        let signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", base64url(&signature.0))
    }
}

/// A signed document, read without asking who signed it.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its type.
    pub typ: String,
    /// What it says.
    pub payload: Value,
}

impl Document {
    /// Reads a compact document. `None` if it is none.
    #[must_use]
    pub fn read(compact: &str) -> Option<Self> {
        let mut segments = compact.split('.').map(|segment| from_base64url(segment).ok());
        let (header, payload) = (segments.next()??, segments.next()??);
        let header: Value = serde_json::from_slice(&header).ok()?;
        Some(Self { typ: header["typ"].as_str()?.to_owned(), payload: serde_json::from_slice(&payload).ok()? })
    }
}

/// An answer on its way.
pub struct Passing {
    /// The method and the path of its request.
    pub request: (String, String),
    /// Its status.
    pub status: u16,
    /// The JSON.
    pub answer: Value,
    /// The signed document in it, if it has one. It is signed anew.
    pub signed: Option<Document>,
}

impl Passing {
    /// Whether the request was this one: `path` is an exact one, or ends in `/` and is a beginning.
    #[must_use]
    pub fn is_to(&self, method: &str, path: &str) -> bool {
        let (asked, at) = (&self.request.0, &self.request.1);
        asked == method && (at == path || path.ends_with('/') && at.starts_with(path))
    }

    /// Whether it belongs to the cycle, whose answers are closed.
    #[must_use]
    pub fn is_of_the_cycle(&self) -> bool {
        let path = &self.request.1;
        path == paths::AUTHORIZATIONS || path == paths::VERIFICATIONS || path.starts_with("/v1/grants/")
    }

    /// What a signed yes says.
    pub fn body(&mut self) -> Option<&mut Value> {
        self.signed.as_mut().filter(|signed| signed.typ == "portcullis-answer+jwt")?.payload.get_mut("body")
    }
}

/// What the future changes of an answer.
pub type Change = Arc<dyn Fn(&Pen, &mut Passing) + Send + Sync>;

struct Shared {
    behind: String,
    pen: Pen,
    http: reqwest::Client,
    change: Mutex<Option<Change>>,
}

/// The server and its proxy, which stops when it is dropped.
pub struct Future {
    /// The server. Its origin is the proxy's address.
    pub server: Server,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Future {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Future {
    /// Makes a server in `dir` and starts it behind the proxy, which changes nothing yet.
    ///
    /// # Errors
    /// If the server cannot be made or started.
    pub async fn open(dir: &Path) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut server = Server::init_at(dir, &listener.local_addr()?.to_string())?;
        for key in ["address_rate", "address_burst", "terminal_rate", "terminal_burst", "sign_in_attempts"] {
            server.configure("limits", key, 1_000_000)?;
        }
        server.configure("limits", "poll_seconds", 0)?;
        let behind = server.start_twin()?;
        let pen = Pen(signing_key(&server).await?);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shared = Arc::new(Shared { behind, pen, http, change: Mutex::default() });
        let proxy = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, proxy).await {
                eprintln!("the proxy ended: {error}");
            }
        });
        Ok(Self { server, shared, serving })
    }

    /// From now on answers are changed like this.
    pub fn change(&self, change: impl Fn(&Pen, &mut Passing) + Send + Sync + 'static) {
        *self.shared.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(change));
    }

    /// From now on answers pass as they are.
    pub fn change_nothing(&self) {
        *self.shared.change.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The key that the server signs with, from its directory.
async fn signing_key(server: &Server) -> Result<Arc<SecretKey>> {
    let overrides = Overrides { dir: Some(server.dir().to_owned()), ..Overrides::default() };
    let config = Config::load(&overrides, [])?;
    let origin: Origin = server.origin().parse()?;
    let core = open(&config, origin, Parts::default()).await?;
    Ok(core.keys.signing_key(core.clock.now())?)
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match forward(&shared, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(shared: &Shared, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let asked = (parts.method.to_string(), parts.uri.path().to_owned());
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = axum::body::to_bytes(body, MOST).await?;
    let sent = shared
        .http
        .request(parts.method, format!("{}{target}", shared.behind))
        .headers(of_the_message(parts.headers))
        .body(body);
    let answer = sent.send().await.context("the server does not answer")?;
    let (status, headers) = (answer.status(), of_the_message(answer.headers().clone()));
    let body = answer.bytes().await?;
    let change = shared.change.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (status, body) = match change {
        Some(change) => changed(&shared.pen, &*change, asked, status, body)?,
        None => (status, body),
    };
    let mut response = Response::new(Body::from(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

fn changed(
    pen: &Pen,
    change: &(dyn Fn(&Pen, &mut Passing) + Send + Sync),
    request: (String, String),
    status: StatusCode,
    body: Bytes,
) -> Result<(StatusCode, Bytes)> {
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else { return Ok((status, body)) };
    let signed = answer["signed"].as_str().and_then(Document::read);
    let mut passing = Passing { request, status: status.as_u16(), answer, signed };
    change(pen, &mut passing);
    let Passing { status, mut answer, signed, .. } = passing;
    if let Some(Document { typ, payload }) = signed {
        answer["signed"] = pen.sign(&typ, &payload).into();
    }
    Ok((StatusCode::from_u16(status)?, serde_json::to_vec(&answer)?.into()))
}

fn of_the_message(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_LINE {
        headers.remove(name);
    }
    headers
}
