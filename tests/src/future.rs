//! A server from the future: a real one of this version behind a proxy that adds to its answers what a later version
//! might, and signs them anew with the server's own key. Without a change it passes everything on, which is the
//! control.

use crate::Server;
use anyhow::Result;
use portcullis_fixtures::proxy::{self, Proxy};
use portcullis_protocol::encoding::{base64url, from_base64url};
use portcullis_protocol::{Origin, SecretKey, paths};
use portcullis_server::ops::config::{Config, Overrides};
use portcullis_server::{Parts, open};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

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

/// The server and its proxy, which stops when it is dropped.
pub struct Future {
    /// The server. Its origin is the proxy's address.
    pub server: Server,
    proxy: Proxy,
    pen: Pen,
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
        server.configure("webhooks", "networks_of_others", vec!["127.0.0.0/8"])?;
        let behind = server.start_twin()?;
        let pen = Pen(signing_key(&server).await?);
        Ok(Self { server, proxy: Proxy::open(listener, behind)?, pen })
    }

    /// From now on answers that are JSON are changed like this.
    pub fn change(&self, change: impl Fn(&Pen, &mut Passing) + Send + Sync + 'static) {
        let pen = self.pen.clone();
        self.proxy.change(move |passing| changed(&pen, &change, passing));
    }

    /// From now on answers pass as they are.
    pub fn change_nothing(&self) {
        self.proxy.change_nothing();
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

fn changed(pen: &Pen, change: &dyn Fn(&Pen, &mut Passing), passing: &mut proxy::Passing) {
    let Ok(answer) = serde_json::from_slice::<Value>(&passing.body) else { return };
    let signed = answer["signed"].as_str().and_then(Document::read);
    let mut seen = Passing { request: (passing.method.clone(), passing.path.clone()), answer, signed };
    change(pen, &mut seen);
    let Passing { mut answer, signed, .. } = seen;
    if let Some(Document { typ, payload }) = signed {
        answer["signed"] = pen.sign(&typ, &payload).into();
    }
    passing.body = answer.to_string().into();
}
