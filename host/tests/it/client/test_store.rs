//! An honest billing server in this process, and the means to be dishonest on the way to it.

use async_trait::async_trait;
use futures::StreamExt as _;
use portcullis_host::{
    BillingServer, Body, Client, ClientOptions, Clock, CycleRequest, Download, Downloaded, Exchange, Exchanged,
    Gatekeeper, Method, Nonce, Refused, Released, Retry, TransportError,
};
use portcullis_protocol::age::{FileKey, Identity};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::proof::{NonceKey, ProofError, ProofTarget, Proven, check, claimed_key};
use portcullis_protocol::sealed::{Package, Sealed, countersign};
use portcullis_protocol::wire::{
    AccountAnswer, AuthorisationAnswer, CatalogueEntry, CatalogueVersion, DeviceAuthorisation, Done, OAuthError,
    OfferTerms, OffersAnswer, OffersRequest, OrderAnswer, OrderRequest, OrderState, PublishAnswer, ReceiptsAnswer,
    SearchAnswer, Signed, TerminalAnswer, TerminalInfo, TerminalRequest, TokenAnswer, VerificationAnswer,
    VerificationRequest,
};
use portcullis_protocol::{
    Answer, Capabilities, CodeBinding, CodeId, CodeKey, Currency, Digest, Enrolment, ExportName, Grant, GrantId,
    GrantLimits, KeyDocument, Manifest, Money, More, Offer, OfferId, OperationEntry, OperationName, OrderId, Origin,
    PairwiseId, PartEntry, PartKind, PartName, PublicKey, PublisherEntry, PublisherName, Reason, Receipt,
    RefusalAnswer, ReleasePublicKey, ResourceLimits, ResourceName, Rights, SecretKey, ServerEntry, ServerKey,
    SignedManifest, TerminalId, Thumbprint, Unverified, Verified, Version, WellKnown, confirmation, release,
};
use rand_core::{Rng as _, UnwrapErr};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub(crate) const ORIGIN: &str = "https://store.example";
pub(crate) const START: u64 = 1_800_000_000;
/// What each part holds: printed and stored nowhere else.
pub(crate) const PLAIN: &[u8] = b"PLAINTEXT-OF-A-PAID-PART";

pub(crate) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

pub(crate) fn origin() -> Origin {
    Origin::new(ORIGIN).expect("origin")
}

pub(crate) fn op(name: &str) -> OperationName {
    OperationName::new(name).expect("operation")
}

pub(crate) fn publisher_name() -> PublisherName {
    PublisherName::new("lumen").expect("name")
}

pub(crate) fn resource_name() -> ResourceName {
    ResourceName::new("lake").expect("name")
}

fn octets<const N: usize>() -> Octets<N> {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    Octets(bytes)
}

/// Time that the tests set. The machine's clock and the one that cannot be set are apart.
#[derive(Debug)]
pub(crate) struct TestClock {
    pub(crate) wall: AtomicU64,
    pub(crate) boot: AtomicU64,
    /// Which start of the machine it is.
    pub(crate) start: AtomicU64,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        static STARTS: AtomicU64 = AtomicU64::new(1);
        let start = AtomicU64::new(STARTS.fetch_add(1000, Ordering::SeqCst));
        Arc::new(Self { wall: AtomicU64::new(START), boot: AtomicU64::new(100), start })
    }

    /// The machine is started anew.
    pub(crate) fn restart(&self) {
        self.start.fetch_add(1, Ordering::SeqCst);
        self.boot.store(1, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
        self.boot.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.boot.load(Ordering::SeqCst))
    }

    fn epoch(&self) -> Option<[u8; 16]> {
        Some(self.start.load(Ordering::SeqCst).to_be_bytes().repeat(2).try_into().expect("16 bytes"))
    }
}

/// What happens to a request before it arrives: `Some` is the answer instead.
pub(crate) type Before = Box<dyn FnMut(&Exchange) -> Option<Result<Exchanged, TransportError>> + Send>;
/// What happens to an answer on its way back.
pub(crate) type After = Box<dyn FnMut(&Exchange, Exchanged) -> Result<Exchanged, TransportError> + Send>;
/// Changes a grant.
pub(crate) type Forge = Box<dyn FnMut(&mut Grant) + Send>;
/// What happens to a file on its way, from the store to the terminal.
pub(crate) type OnFile = Box<dyn FnMut(&Download, File) -> File + Send>;
/// A file on its way.
pub(crate) type File = Result<Downloaded, TransportError>;

/// The way to the server, and the server.
pub(crate) struct TestStore {
    pub(crate) world: Mutex<World>,
    before: Mutex<Option<Before>>,
    after: Mutex<Option<After>>,
    on_file: Mutex<Option<OnFile>>,
}

/// What the server knows.
pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) origin: Origin,
    /// By how many seconds its answers are dated wrongly.
    pub(crate) misdated: i64,
    pub(crate) root: SecretKey,
    pub(crate) signing: SecretKey,
    /// Former signing keys that stand in the key document.
    pub(crate) former: Vec<SecretKey>,
    pub(crate) key_version: u64,
    pub(crate) key_life: u64,
    pub(crate) identity: Identity,
    nonces: NonceKey,
    codes: CodeKey,
    /// How the user answers on the approval page: the OAuth error, or approval.
    pub(crate) approval: Option<&'static str>,
    devices: BTreeMap<String, Thumbprint>,
    pub(crate) access: BTreeMap<String, Thumbprint>,
    pub(crate) refresh: BTreeSet<String>,
    pub(crate) refreshes: u32,
    pub(crate) token_life: u32,
    pub(crate) terminals: BTreeMap<Thumbprint, ReleasePublicKey>,
    pub(crate) revoked: BTreeSet<Thumbprint>,
    /// The account's name.
    pub(crate) account: String,
    /// What its terminals are called.
    pub(crate) labels: Vec<String>,
    /// Rights by operation: what is left, or for good.
    pub(crate) rights: BTreeMap<String, Option<u32>>,
    /// Verifications that were committed: debits.
    pub(crate) debits: u32,
    pub(crate) orders: u32,
    pub(crate) payment_state: OrderState,
    issued: BTreeMap<CodeId, (u64, bool)>,
    answers: BTreeMap<(String, String), (Digest, Value)>,
    pub(crate) acknowledged: BTreeSet<GrantId>,
    pub(crate) resources: BTreeMap<Digest, Resource>,
    pub(crate) offers: Vec<Verified<Offer>>,
    pub(crate) vouches: Vec<String>,
    pub(crate) adoption: Option<String>,
    /// The key in use; without one, that of the newest version.
    pub(crate) publisher_key: Option<PublicKey>,
    receipts: Vec<String>,
    pub(crate) grant_life: u64,
    pub(crate) publishers: Vec<PublisherName>,
    /// `METHOD /path` of every request that arrived.
    pub(crate) log: Vec<String>,
    /// Every token and code that travelled, to look for in logs and on the disk.
    pub(crate) secrets: Vec<String>,
    /// Changes the grant before it is signed.
    pub(crate) forge_grant: Option<Forge>,
    /// Releases keys to this terminal instead.
    pub(crate) release_to: Option<ReleasePublicKey>,
}

pub(crate) struct Resource {
    pub(crate) file: Vec<u8>,
    pub(crate) keys: BTreeMap<PartName, FileKey>,
    pub(crate) manifest: Arc<SignedManifest>,
    pub(crate) withdrawn: bool,
}

/// A signed no, before it is signed.
struct No(Reason, Vec<String>);

impl From<Reason> for No {
    fn from(reason: Reason) -> Self {
        Self(reason, Vec::new())
    }
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::at(ORIGIN, TestClock::new())
    }

    /// A store at another address.
    pub(crate) fn at(origin: &str, clock: Arc<TestClock>) -> Arc<Self> {
        let world = World {
            clock,
            origin: Origin::new(origin).expect("origin"),
            misdated: 0,
            root: SecretKey::generate(&mut rng()),
            signing: SecretKey::generate(&mut rng()),
            former: Vec::new(),
            key_version: 1,
            key_life: 7 * 24 * 3600,
            identity: Identity::generate(&mut rng()),
            nonces: NonceKey::new(octets::<32>().0),
            codes: CodeKey::new(octets::<32>().0),
            approval: None,
            devices: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeSet::new(),
            refreshes: 0,
            token_life: 3600,
            terminals: BTreeMap::new(),
            revoked: BTreeSet::new(),
            account: "ada".into(),
            labels: Vec::new(),
            rights: BTreeMap::new(),
            debits: 0,
            orders: 0,
            payment_state: OrderState::Paid,
            issued: BTreeMap::new(),
            answers: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            resources: BTreeMap::new(),
            offers: Vec::new(),
            vouches: Vec::new(),
            adoption: None,
            publisher_key: None,
            receipts: Vec::new(),
            grant_life: 300,
            publishers: Vec::new(),
            log: Vec::new(),
            secrets: Vec::new(),
            forge_grant: None,
            release_to: None,
        };
        Arc::new(Self {
            world: Mutex::new(world),
            before: Mutex::default(),
            after: Mutex::default(),
            on_file: Mutex::default(),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the world")
    }

    pub(crate) fn before(
        &self,
        hook: impl FnMut(&Exchange) -> Option<Result<Exchanged, TransportError>> + Send + 'static,
    ) {
        *self.before.lock().expect("hook") = Some(Box::new(hook));
    }

    pub(crate) fn after(
        &self,
        hook: impl FnMut(&Exchange, Exchanged) -> Result<Exchanged, TransportError> + Send + 'static,
    ) {
        *self.after.lock().expect("hook") = Some(Box::new(hook));
    }

    pub(crate) fn on_file(&self, hook: impl FnMut(&Download, File) -> File + Send + 'static) {
        *self.on_file.lock().expect("hook") = Some(Box::new(hook));
    }

    /// The way is honest again.
    pub(crate) fn honest(&self) {
        *self.before.lock().expect("hook") = None;
        *self.after.lock().expect("hook") = None;
        *self.on_file.lock().expect("hook") = None;
        let mut world = self.world();
        world.forge_grant = None;
        world.release_to = None;
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, request: &str) -> usize {
        self.world().log.iter().filter(|line| line.starts_with(request)).count()
    }

    /// A client of a state directory, quick to give up.
    pub(crate) fn client(self: &Arc<Self>, home: &Path) -> Client {
        let clock = Arc::clone(&self.world().clock);
        let retry = Retry {
            attempts: 2,
            patient_attempts: 3,
            pause: Duration::from_millis(1),
            longest: Duration::from_millis(5),
            patience: Duration::from_millis(400),
        };
        let options = ClientOptions::new()
            .state_dir(home)
            .billing_server(Arc::clone(self) as Arc<dyn BillingServer>)
            .clock(clock)
            .retry(retry);
        Client::open(options).expect("opened")
    }

    /// A client at which somebody is signed in.
    pub(crate) async fn signed_in(self: &Arc<Self>, home: &Path) -> Client {
        let client = self.client(home);
        let origin = self.world().origin.clone();
        client.sign_in(&origin, "test").await.expect("begun").finish().await.expect("signed in");
        client
    }
}

/// Several stores, each at its own address.
pub(crate) struct Stores(pub(crate) Vec<Arc<TestStore>>);

impl Stores {
    fn at(&self, is: impl Fn(&str) -> bool) -> &Arc<TestStore> {
        let at = self.0.iter().find(|store| is(store.world().origin.as_str()));
        at.expect("no other server is ever contacted")
    }

    /// A terminal that trusts all of them.
    pub(crate) async fn signed_in(self: Arc<Self>, home: &Path, clock: Arc<dyn Clock>) -> Client {
        let client = Arc::clone(&self).client(home, clock);
        for store in &self.0 {
            let origin = store.world().origin.clone();
            client.sign_in(&origin, "test").await.expect("begun").finish().await.expect("signed in");
        }
        client
    }

    /// A terminal that reaches all of them.
    pub(crate) fn client(self: Arc<Self>, home: &Path, clock: Arc<dyn Clock>) -> Client {
        let retry = Retry { attempts: 1, patient_attempts: 2, pause: Duration::from_millis(1), ..Retry::default() };
        let options = ClientOptions::new().state_dir(home).billing_server(self).clock(clock).retry(retry);
        Client::open(options).expect("opened")
    }
}

#[async_trait]
impl BillingServer for Stores {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        self.at(|origin| origin == exchange.origin.as_str()).exchange(exchange).await
    }

    async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
        self.at(|origin| download.url.starts_with(origin)).download(download).await
    }
}

/// The request for `operation` of a resource, without a nonce.
pub(crate) fn request(resource: &Arc<SignedManifest>, operation: &str) -> CycleRequest {
    CycleRequest {
        resource: Arc::clone(resource),
        operation: op(operation),
        quantity: 1,
        offer: None,
        nonce: Nonce::default(),
    }
}

/// Runs the whole cycle.
pub(crate) async fn run(client: &Client, resource: &Arc<SignedManifest>, operation: &str) -> Result<Released, Refused> {
    client.cycle().run(request(resource, operation)).await
}

fn manifest(publisher: &SecretKey, version: Version, server: ServerEntry) -> Manifest {
    let part = |name: &str, kind, size: usize| PartEntry {
        name: PartName::new(name).expect("part"),
        kind,
        media_type: "application/wasm".into(),
        size: size as u64,
        commitment: Octets([0; 32]),
        binding: Octets([0; 32]),
        public: false,
    };
    let operation = |name: &str, exports: &[&str], parts: &[&str]| OperationEntry {
        name: op(name),
        title: format!("Operation {name}"),
        exports: exports.iter().map(|name| ExportName::new(*name).expect("export")).collect(),
        parts: parts.iter().map(|name| PartName::new(*name).expect("part")).collect(),
    };
    Manifest {
        v: 1,
        publisher: PublisherEntry { name: publisher_name(), jwk: publisher.public().clone() },
        name: resource_name(),
        version,
        kind: "picture".into(),
        title: "A lake".into(),
        description: String::new(),
        stub_digest: Digest::of(b""),
        imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
        exports: vec!["peek".into(), "view".into()],
        parts: vec![part("full", PartKind::Code, PLAIN.len()), part("pixels", PartKind::Asset, PIXELS)],
        operations: vec![operation("view", &["view"], &["full", "pixels"]), operation("pixels", &[], &["pixels"])],
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: true,
        servers: vec![server],
    }
}

/// Bytes of the asset part: two blocks and a bit.
const PIXELS: usize = 2_200_000;

impl World {
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// What it writes on its answers.
    fn dated(&self) -> u64 {
        self.now().saturating_add_signed(self.misdated)
    }

    /// Seals, countersigns and lists version `version` of lumen/lake.
    pub(crate) fn publish(&mut self, publisher: &SecretKey, version: (u64, u64, u64)) -> Arc<SignedManifest> {
        let (_, manifest) = self.seal(publisher, version, |_| {});
        manifest
    }

    pub(crate) fn seal(
        &mut self,
        publisher: &SecretKey,
        (major, minor, patch): (u64, u64, u64),
        change: impl FnOnce(&mut Manifest),
    ) -> (Vec<u8>, Arc<SignedManifest>) {
        let server = ServerEntry { origin: self.origin.clone(), root: self.root.public().thumbprint() };
        let mut manifest = manifest(publisher, Version::new(major, minor, patch), server);
        change(&mut manifest);
        let mut pixels = vec![0; PIXELS];
        rng().fill_bytes(&mut pixels);
        let recipients = [*self.identity.recipient()];
        let package = Package {
            // A component with nothing in it.
            stub: b"\0asm\x0d\0\x01\0",
            manifest,
            sources: vec![Box::new(Cursor::new(PLAIN)), Box::new(Cursor::new(pixels))],
            recipients: &recipients,
        };
        let mut out = Cursor::new(Vec::new());
        package.write(&mut out, publisher, &mut rng()).expect("sealed");
        let sealed = Sealed::open(out.into_inner()).expect("opens");
        let mut file = Vec::new();
        let signed =
            countersign(&sealed, self.origin.clone(), &self.signing, self.now(), &mut file).expect("countersigned");
        let names = signed.manifest().parts.iter().map(|part| part.name.clone());
        let key_of = |name: PartName| (name.clone(), sealed.unwrap_key(&name, [&self.identity]).expect("key"));
        let (keys, manifest) = (names.map(key_of).collect(), Arc::new(signed));
        let resource = Resource { file: file.clone(), keys, manifest: Arc::clone(&manifest), withdrawn: false };
        self.resources.insert(manifest.digest(), resource);
        (file, manifest)
    }

    pub(crate) fn offer(&mut self, operation: &str, rights: Rights, minor_units: i64) -> Verified<Offer> {
        let offer = Offer {
            iss: self.origin.clone(),
            id: OfferId::generate(self.now() * 1000, &mut rng()),
            publisher: publisher_name(),
            name: resource_name(),
            operation: op(operation),
            title: "An offer".into(),
            rights,
            price: Money::new(minor_units, "EUR".parse::<Currency>().expect("EUR")).expect("price"),
            iat: self.now(),
        };
        let offer = Verified::sign(offer, &self.signing);
        self.offers.push(offer.clone());
        offer
    }

    pub(crate) fn key_document(&self) -> Verified<KeyDocument> {
        let now = self.now();
        let key = |key: &SecretKey, exp| ServerKey { jwk: key.public().clone(), nbf: START - 1000, exp };
        let mut signing = vec![key(&self.signing, now + 30 * 24 * 3600)];
        signing.extend(self.former.iter().map(|former| key(former, now)));
        let document = KeyDocument {
            iss: self.origin.clone(),
            version: self.key_version,
            iat: now,
            exp: now + self.key_life,
            signing,
            recipient: self.identity.recipient().to_string(),
        };
        Verified::sign(document, &self.root)
    }

    pub(crate) fn well_known(&self) -> WellKnown {
        WellKnown {
            root: self.root.public().clone(),
            keys: self.key_document().compact().to_owned(),
            api: format!("{}/v1", self.origin),
        }
    }

    fn listing(&self) -> CatalogueEntry {
        let mut versions: Vec<CatalogueVersion> = self
            .resources
            .values()
            .map(|resource| CatalogueVersion {
                opens: Vec::new(),
                version: resource.manifest.manifest().version.clone(),
                digest: resource.manifest.digest(),
                size: resource.file.len() as u64,
                withdrawn: resource.withdrawn,
            })
            .collect();
        portcullis_protocol::version::sort_newest_first(&mut versions, |version| &version.version);
        let newest = &self.resources[&versions[0].digest].manifest;
        CatalogueEntry {
            publisher: publisher_name(),
            publisher_key: self.publisher_key.clone().unwrap_or_else(|| newest.manifest().publisher.jwk.clone()),
            name: resource_name(),
            kind: "picture".into(),
            title: "A lake".into(),
            description: String::new(),
            versions,
            offers: self.offers.iter().map(|offer| offer.compact().to_owned()).collect(),
            vouches: self.vouches.clone(),
            adoption: self.adoption.clone(),
        }
    }

    pub(crate) fn answer(&mut self, exchange: &Exchange) -> Exchanged {
        let path = exchange.path_and_query.as_str();
        let (path, _query) = path.split_once('?').unwrap_or((path, ""));
        self.log.push(format!("{} {path}", exchange.method.as_str()));
        if exchange.proof.is_none() {
            return match path {
                "/.well-known/portcullis" => plain(200, &self.well_known()),
                "/v1/search" => plain(
                    200,
                    &SearchAnswer { results: vec![self.listing()].into(), products: Vec::new().into(), next: None },
                ),
                "/v1/catalogue/lumen/lake" if !self.resources.is_empty() => plain(200, &self.listing()),
                _ => plain(404, &OAuthError { error: "not-found".into(), error_description: None }),
            };
        }
        let proof = exchange.proof.as_deref().unwrap_or_default();
        let body = body_of(exchange);
        let url = format!("{}{path}", self.origin);
        let target = ProofTarget {
            method: exchange.method.as_str(),
            url: &url,
            token: exchange.token.as_ref().map(|token| token.expose()),
            body: Digest::of(&body),
            idempotency_key: exchange.idempotency_key.as_ref(),
        };
        let now = self.now();
        let proven = match check(proof, &target, &self.nonces, now) {
            Ok(proven) => proven,
            Err(error) => {
                let nonce = claimed_key(proof).ok().map(|key| self.nonces.issue(&key, now));
                let code = if error == ProofError::Nonce { "use_dpop_nonce" } else { "invalid_dpop_proof" };
                let unsigned = plain(401, &OAuthError { error: code.into(), error_description: None });
                return Exchanged { nonce: nonce.filter(|_| error == ProofError::Nonce), ..unsigned };
            }
        };
        let nonce = Some(self.nonces.issue(&proven.key().thumbprint(), now));
        let answer = if path.starts_with("/oauth/") {
            self.oauth(path, &body, &proven)
        } else {
            self.proven(exchange, path, &body, &proven)
        };
        Exchanged { nonce, ..answer }
    }

    fn oauth(&mut self, path: &str, body: &[u8], proven: &Proven) -> Exchanged {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let key = proven.key().thumbprint();
        let error = |error: &str| plain(400, &OAuthError { error: error.into(), error_description: None });
        match (path, fields.get("grant_type").map(String::as_str)) {
            ("/oauth/device_authorization", _) => {
                assert_eq!(fields["client_id"], "portcullis");
                self.labels.push(fields["label"].clone());
                let device_code = octets::<16>().to_string();
                self.secrets.push(device_code.clone());
                self.devices.insert(device_code.clone(), key);
                let uri = format!("{}/device", self.origin);
                plain(
                    200,
                    &DeviceAuthorisation {
                        device_code,
                        user_code: "WDJB-MJHT".into(),
                        verification_uri_complete: format!("{uri}?user_code=WDJB-MJHT"),
                        verification_uri: uri,
                        expires_in: 600,
                        interval: 0,
                    },
                )
            }
            ("/oauth/token", Some("urn:ietf:params:oauth:grant-type:device_code")) => {
                if self.devices.get(&fields["device_code"]) != Some(&key) {
                    return error("invalid_grant");
                }
                match self.approval {
                    Some(refusal) => error(refusal),
                    None => plain(200, &self.tokens(key)),
                }
            }
            ("/oauth/token", Some("refresh_token")) => {
                if !self.refresh.remove(&fields["refresh_token"]) {
                    // Used twice: the whole sign-in ends.
                    self.access.clear();
                    self.refresh.clear();
                    return error("invalid_grant");
                }
                self.refreshes += 1;
                self.access.clear();
                plain(200, &self.tokens(key))
            }
            ("/oauth/revoke", _) => {
                self.refresh.remove(&fields["token"]);
                self.access.clear();
                plain(200, &Done {})
            }
            _ => error("invalid_request"),
        }
    }

    fn tokens(&mut self, key: Thumbprint) -> TokenAnswer {
        let (access, refresh) = (octets::<16>().to_string(), octets::<16>().to_string());
        self.secrets.extend([access.clone(), refresh.clone()]);
        self.access.insert(access.clone(), key);
        self.refresh.insert(refresh.clone());
        TokenAnswer {
            access_token: access,
            token_type: "DPoP".into(),
            expires_in: self.token_life,
            refresh_token: refresh,
        }
    }

    fn proven(&mut self, exchange: &Exchange, path: &str, body: &[u8], proven: &Proven) -> Exchanged {
        let key = proven.key().thumbprint();
        let answered = self.judge(exchange, path, body, &key, proven.key());
        let (req, iat) = (proven.digest(), self.dated());
        match answered {
            Ok(body) => plain(200, &Signed { signed: self.sign(req, body).compact().to_owned() }),
            Err(No(reason, offers)) => {
                let refusal =
                    RefusalAnswer { req, iat, reason, detail: None, offers, retry_after: None, more: More::new() };
                let signed = Verified::sign(refusal, &self.signing).compact().to_owned();
                plain(reason.http_status(), &Signed { signed })
            }
        }
    }

    pub(crate) fn sign(&self, req: Digest, body: Value) -> Verified<Answer<Value>> {
        Verified::sign(Answer { req, iat: self.dated(), body }, &self.signing)
    }

    fn judge(
        &mut self,
        exchange: &Exchange,
        path: &str,
        body: &[u8],
        key: &Thumbprint,
        public: &PublicKey,
    ) -> Result<Value, No> {
        let token = exchange.token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
        if self.access.get(&token) != Some(key) {
            return Err(Reason::NotSignedIn.into());
        }
        if path == "/v1/terminals" {
            let request: TerminalRequest = parse(body);
            let enrolment = Unverified::<Enrolment>::parse(&request.statement).expect("an enrolment");
            let enrolment = enrolment.verify(public).expect("self-signed").into_document();
            assert_eq!((&enrolment.origin, enrolment.root), (&self.origin, self.root.public().thumbprint()));
            if self.revoked.contains(key) {
                return Err(Reason::TerminalRevoked.into());
            }
            self.terminals.insert(*key, ReleasePublicKey::try_from(enrolment.x25519).expect("a good key"));
            return Ok(json(&TerminalAnswer {
                terminal: TerminalId::from_bytes([7; 16]),
                account: self.account.clone(),
            }));
        }
        if self.revoked.contains(key) {
            return Err(Reason::TerminalRevoked.into());
        }
        let release = *self.terminals.get(key).ok_or(Reason::TerminalUnknown)?;
        let slot = exchange.idempotency_key.as_ref().map(|ik| (path.to_owned(), ik.to_string()));
        assert_eq!(slot.is_none(), exchange.method == Method::Get, "what changes something has an Idempotency-Key");
        if let Some((digest, stored)) = slot.as_ref().and_then(|slot| self.answers.get(slot)) {
            assert_eq!(*digest, Digest::of(body), "a retry has the same body");
            return Ok(stored.clone());
        }
        let answer = self.decide(exchange, path, body, key, &release)?;
        if let Some(slot) = slot {
            self.answers.insert(slot, (Digest::of(body), answer.clone()));
        }
        Ok(answer)
    }

    fn decide(
        &mut self,
        exchange: &Exchange,
        path: &str,
        body: &[u8],
        key: &Thumbprint,
        release: &ReleasePublicKey,
    ) -> Result<Value, No> {
        match (exchange.method, path) {
            (Method::Post, "/v1/authorizations") => self.authorise(body),
            (Method::Post, "/v1/verifications") => self.verify(body, key, release),
            (Method::Post, "/v1/orders") => self.order(body),
            (Method::Get, "/v1/account") => Ok(json(&AccountAnswer {
                account: self.account.clone(),
                terminals: self.labels.iter().map(|label| terminal(label, key)).collect::<Vec<_>>().into(),
                publishers: self.publishers.clone(),
            })),
            (Method::Get, "/v1/account/receipts") => {
                Ok(json(&ReceiptsAnswer { receipts: self.receipts.clone(), next: None }))
            }
            (Method::Put, "/v1/resources") => {
                let sealed = Sealed::open(body.to_vec()).expect("a sealed resource");
                let manifest = sealed.manifest();
                Ok(json(&PublishAnswer {
                    resource: sealed.digest(),
                    publisher: manifest.publisher.name.clone(),
                    name: manifest.name.clone(),
                    version: manifest.version.clone(),
                }))
            }
            (Method::Put, "/v1/catalogue/lumen/lake/offers") => {
                let request: OffersRequest = parse(body);
                self.offers.clear();
                for OfferTerms { operation, rights, price, .. } in request.offers {
                    self.offer(operation.as_str(), rights, price.minor_units());
                }
                Ok(json(&OffersAnswer { offers: self.offers.iter().map(|o| o.compact().to_owned()).collect() }))
            }
            (Method::Post, "/v1/publishers") => {
                self.publishers.push(publisher_name());
                Ok(json(&Done {}))
            }
            (Method::Post, path) if path.ends_with("/withdraw") => {
                let digest = path.split('/').nth(3).expect("a digest").parse().expect("a digest");
                self.resources.get_mut(&digest).ok_or(Reason::ResourceUnknown)?.withdrawn = true;
                Ok(json(&Done {}))
            }
            (Method::Post, path) if path.ends_with("/restore") => {
                let digest = path.split('/').nth(3).expect("a digest").parse().expect("a digest");
                self.resources.get_mut(&digest).ok_or(Reason::ResourceUnknown)?.withdrawn = false;
                Ok(json(&Done {}))
            }
            (Method::Post, path) if path.ends_with("/ack") => {
                let grant = path.split('/').nth(3).expect("a grant").parse().expect("a grant");
                self.acknowledged.insert(grant);
                Ok(json(&Done {}))
            }
            (method, path) => panic!("the test server has no {} {path}", method.as_str()),
        }
    }

    fn authorise(&mut self, body: &[u8]) -> Result<Value, No> {
        let request = parse(body);
        let code = CodeId::generate(self.now() * 1000, &mut rng());
        let code = self.codes.issue(code, &binding(&request));
        let resource = self.resources.get(&request.resource).ok_or(Reason::ResourceUnknown)?;
        if resource.withdrawn {
            return Err(Reason::ResourceWithdrawn.into());
        }
        match self.rights.get_mut(request.operation.as_str()) {
            None => {
                let offers = self.offers.iter().filter(|offer| offer.document().operation == request.operation);
                return Err(No(Reason::PaymentRequired, offers.map(|offer| offer.compact().to_owned()).collect()));
            }
            Some(Some(left)) if *left < request.quantity => return Err(Reason::EntitlementExhausted.into()),
            Some(Some(left)) => *left -= request.quantity,
            Some(None) => {}
        }
        self.secrets.push(code.expose());
        let expires = self.now() + 30;
        self.issued.insert(code.id(), (expires, false));
        Ok(json(&AuthorisationAnswer { code, expires }))
    }

    fn verify(&mut self, body: &[u8], key: &Thumbprint, recipient: &ReleasePublicKey) -> Result<Value, No> {
        let VerificationRequest { code, request } = parse(body);
        if !self.codes.accepts(&code, &binding(&request)) {
            return Err(Reason::StatusCodeUnknown.into());
        }
        let now = self.now();
        let (expires, spent) = self.issued.get_mut(&code.id()).ok_or(Reason::StatusCodeUnknown)?;
        if *spent {
            return Err(Reason::StatusCodeSpent.into());
        }
        if now >= *expires {
            // What it held is released.
            if let Some(Some(left)) = self.rights.get_mut(request.operation.as_str()) {
                *left += request.quantity;
            }
            return Err(Reason::StatusCodeExpired.into());
        }
        *spent = true;
        self.debits += request.quantity;
        let resource = &self.resources[&request.resource];
        let manifest = resource.manifest.manifest();
        let parts = manifest.operation(&request.operation).expect("operation").parts.clone();
        let grant_nonce = octets::<16>();
        let counted = self.rights.get(request.operation.as_str()).copied().flatten();
        let mut grant = Grant {
            iss: self.origin.clone(),
            jti: GrantId::generate(now * 1000, &mut rng()),
            sub: PairwiseId::from_bytes([1; 16]),
            cnf: confirmation(&grant_nonce, key),
            resource: request.resource,
            publisher: publisher_name(),
            name: resource_name(),
            version: manifest.version.clone(),
            operation: request.operation.clone(),
            parts,
            model: if counted.is_some() { "uses".into() } else { "perpetual".into() },
            limits: GrantLimits { uses: counted.map(|_| request.quantity), units: None },
            nonce: request.nonce.clone(),
            iat: now,
            exp: now + self.grant_life,
            run_max: 300,
        };
        if let Some(forge) = &mut self.forge_grant {
            forge(&mut grant);
        }
        let keys: Vec<(String, FileKey)> =
            grant.parts.iter().map(|part| (part.to_string(), resource.keys[part].clone())).collect();
        let keys: Vec<(&str, &FileKey)> = keys.iter().map(|(part, key)| (part.as_str(), key)).collect();
        let grant = Verified::sign(grant, &self.signing);
        let recipient = self.release_to.unwrap_or(*recipient);
        let keys = release::seal(&recipient, grant.compact(), &keys, &mut rng()).expect("sealed");
        Ok(json(&VerificationAnswer { grant: grant.compact().to_owned(), grant_nonce, keys }))
    }

    fn order(&mut self, body: &[u8]) -> Result<Value, No> {
        let request: OrderRequest = parse(body);
        if request.payment.provider != "sandbox" {
            return Err(Reason::PaymentRequired.into());
        }
        let all = self.offers.iter().map(|offer| offer.compact().to_owned()).collect();
        let offer = self.offers.iter().find(|offer| offer.digest() == request.offer);
        let offer = offer.ok_or(No(Reason::PaymentRequired, all))?.document().clone();
        let order = OrderId::generate(self.now() * 1000, &mut rng());
        if self.payment_state != OrderState::Paid {
            return Ok(json(&OrderAnswer {
                order,
                state: self.payment_state,
                receipt: None,
                next: None,
                joined: false,
            }));
        }
        self.orders += 1;
        match offer.rights {
            Rights::Uses { count } => {
                let left = self.rights.entry(offer.operation.to_string()).or_insert(Some(0));
                *left = left.map(|left| left + count);
            }
            _ => drop(self.rights.insert(offer.operation.to_string(), None)),
        }
        let receipt = Receipt {
            iss: self.origin.clone(),
            order,
            offer: request.offer,
            publisher: offer.publisher,
            name: offer.name,
            operation: offer.operation,
            rights: offer.rights,
            price: offer.price,
            iat: self.now(),
        };
        let receipt = Verified::sign(receipt, &self.signing).compact().to_owned();
        self.receipts.insert(0, receipt.clone());
        Ok(json(&OrderAnswer { order, state: OrderState::Paid, receipt: Some(receipt), next: None, joined: false }))
    }
}

/// The test server has one account and one terminal as far as codes are concerned.
fn binding(request: &portcullis_protocol::wire::AuthorisationRequest) -> CodeBinding {
    let account = portcullis_protocol::AccountId::from_bytes([1; 16]);
    CodeBinding::of(&account, &TerminalId::from_bytes([2; 16]), request)
}

fn terminal(label: &str, key: &Thumbprint) -> TerminalInfo {
    TerminalInfo {
        terminal: TerminalId::from_bytes([7; 16]),
        label: label.into(),
        key: *key,
        enrolled: START,
        revoked: false,
        current: true,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("a body as the protocol has it")
}

fn json(body: &impl Serialize) -> Value {
    serde_json::to_value(body).expect("json")
}

pub(crate) fn plain(status: u16, body: &impl Serialize) -> Exchanged {
    Exchanged { status, nonce: None, retry_after: None, body: serde_json::to_vec(body).expect("json").into() }
}

pub(crate) fn body_of(exchange: &Exchange) -> Vec<u8> {
    match &exchange.body {
        Body::Empty => Vec::new(),
        Body::Text(_, bytes) => bytes.to_vec(),
        Body::File { path, .. } => std::fs::read(path).expect("the file"),
    }
}

#[async_trait]
impl BillingServer for TestStore {
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, TransportError> {
        assert_eq!(exchange.origin, self.world().origin, "no other server is ever contacted");
        let instead = self.before.lock().expect("hook").as_mut().and_then(|hook| hook(&exchange));
        if let Some(instead) = instead {
            return instead;
        }
        let answer = self.world().answer(&exchange);
        tokio::task::yield_now().await;
        match self.after.lock().expect("hook").as_mut() {
            Some(hook) => hook(&exchange, answer),
            None => Ok(answer),
        }
    }

    async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
        let found = {
            let mut world = self.world();
            world.log.push(format!("FILE {} from {}", download.url, download.from));
            let digest: Option<Digest> = download.url.rsplit('/').next().and_then(|digest| digest.parse().ok());
            let file = digest.and_then(|digest| world.resources.get(&digest)).map(|resource| &resource.file);
            file.map(|file| match download.length {
                None => served(file, download.from),
                Some(length) => range(file, download.from, length),
            })
        };
        let missing = || Downloaded { status: 404, from: 0, total: None, body: futures::stream::empty().boxed() };
        let answer = Ok(found.unwrap_or_else(missing));
        match self.on_file.lock().expect("hook").as_mut() {
            Some(hook) => hook(&download, answer),
            None => answer,
        }
    }
}

/// A range of a file, in chunks.
pub(crate) fn range(file: &[u8], from: u64, length: u64) -> Downloaded {
    let end = file.len().min((from + length) as usize);
    Downloaded { status: 206, total: Some(file.len() as u64), ..served(&file[..end], from) }
}

/// A file, from a place in it onwards, in chunks.
pub(crate) fn served(file: &[u8], from: u64) -> Downloaded {
    let chunks: Vec<_> =
        file[from as usize..].chunks(100_000).map(|chunk| Ok(bytes::Bytes::copy_from_slice(chunk))).collect();
    Downloaded {
        status: if from == 0 { 200 } else { 206 },
        from,
        total: Some(file.len() as u64),
        body: futures::stream::iter(chunks).boxed(),
    }
}
