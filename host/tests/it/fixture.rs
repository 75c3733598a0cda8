//! A sealed resource made from text, and a gatekeeper that answers for it with grants really signed.

use async_trait::async_trait;
use portcullis_host::{
    Authorised, Clock, Consent, CycleRequest, Error, Gatekeeper, HeldCode, Limits, Nonce, Refused, Released, Resource,
    Runtime, RuntimeBuilder,
};
use portcullis_protocol::age::{FileKey, Identity};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::{Package, Sealed};
use portcullis_protocol::{
    Capabilities, Currency, Digest, ExportName, Grant, GrantId, GrantLimits, Manifest, Money, Offer, OfferId,
    OperationEntry, OperationName, Origin, PairwiseId, PartName, PublisherEntry, PublisherName, Reason, ResourceLimits,
    ResourceName, Rights, SecretKey, ServerEntry, SignedManifest, Verified, Version,
};
use rand_core::UnwrapErr;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

pub(crate) const GUEST_WAT: &str = include_str!("guest.wat");
pub(crate) const GUEST_WIT: &str = include_str!("guest.wit");
/// What must be printed nowhere.
pub(crate) const PLAINTEXT: &str = "PLAINTEXT-OF-A-PAID-BODY";
/// When the tests begin.
pub(crate) const START: u64 = 1_800_000_000;

/// The full name of an export of the guest.
pub(crate) fn api(function: &str) -> String {
    format!("test:guest/api@1.0.0#{function}")
}

pub(crate) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

pub(crate) fn part(name: &str) -> PartName {
    PartName::new(name).expect("a part's name")
}

pub(crate) fn op(name: &str) -> OperationName {
    OperationName::new(name).expect("an operation's name")
}

/// The asset `pixels`: 2.5 MiB, so that it has three blocks.
pub(crate) fn pixels() -> Vec<u8> {
    (0..2_621_440_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Makes a component of a core module in text form and a world.
pub(crate) fn component(wat: &str, wit: &str, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("wit/");
    let package = resolve.push_str("guest.wit", wit).expect("the guest's WIT");
    let world = resolve.select_world(&[package], Some(world)).expect("the guest's world");
    let mut module = wat::parse_str(wat).expect("the guest's WAT");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true).expect("metadata");
    ComponentEncoder::default().module(&module).expect("module").encode().expect("component")
}

pub(crate) fn guest() -> Vec<u8> {
    component(GUEST_WAT, GUEST_WIT, "guest")
}

/// A sealed file and what opens it.
pub(crate) struct Fixture {
    pub(crate) file: Vec<u8>,
    pub(crate) keys: BTreeMap<PartName, FileKey>,
    pub(crate) publisher: SecretKey,
    pub(crate) identity: Identity,
}

pub(crate) fn operation(name: &str, exports: &[&str], parts: &[&str]) -> OperationEntry {
    OperationEntry {
        name: op(name),
        title: format!("Operation {name}"),
        exports: exports.iter().map(|name| ExportName::new(*name).expect("an export's name")).collect(),
        parts: parts.iter().map(|name| part(name)).collect(),
    }
}

pub(crate) fn description(publisher: &SecretKey, operations: Vec<OperationEntry>) -> Description {
    Description {
        publisher: PublisherEntry {
            name: PublisherName::new("tester").expect("name"),
            jwk: publisher.public().clone(),
        },
        name: ResourceName::new("guest").expect("name"),
        version: Version::new(1, 0, 0),
        kind: "software".into(),
        title: "A guest".into(),
        description: String::new(),
        operations,
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: true,
        servers: vec![ServerEntry {
            origin: Origin::new("https://store.example").expect("origin"),
            root: publisher.public().thumbprint(),
        }],
    }
}

impl Fixture {
    /// The guest, with operations `view` (nearly everything), `side` (`other`), and `extra` and `locked`, which have no
    /// exports. Assets: `pixels` under `view`, `bonus` under `extra`, `secret` under `locked`.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Description)) -> Self {
        let view: Vec<String> = [
            "add", "echo", "greet", "count", "fail", "spin", "grow", "recurse", "flood", "leak", "big", "numbers",
            "ask", "nag", "take", "read", "entry",
        ]
        .map(api)
        .into();
        let view: Vec<&str> = view.iter().map(String::as_str).collect();
        let publisher = SecretKey::generate(&mut rng());
        let mut description = description(
            &publisher,
            vec![
                operation("view", &view, &["main", "pixels"]),
                operation("side", &[&api("other")], &["side"]),
                operation("extra", &[], &["bonus"]),
                operation("locked", &[], &["secret"]),
            ],
        );
        change(&mut description);
        let (body, pixels) = (guest(), pixels());
        let sealer = Sealer::new(description)
            .code(part("main"), false, &body)
            .code(part("side"), false, &body)
            .asset(part("pixels"), false, "image/x-raw", pixels.len() as u64, Cursor::new(pixels))
            .asset(part("bonus"), true, "text/plain", 5, Cursor::new(b"bonus"))
            .asset(part("secret"), false, "text/plain", 6, Cursor::new(b"secret"));
        Self::seal(sealer, publisher)
    }

    /// A resource with one operation `run` over one code part, from a component.
    pub(crate) fn single(body: &[u8], exports: &[&str]) -> Self {
        let publisher = SecretKey::generate(&mut rng());
        let description = description(&publisher, vec![operation("view", exports, &["main"])]);
        Self::sealed(description, body, publisher)
    }

    pub(crate) fn sealed(description: Description, body: &[u8], publisher: SecretKey) -> Self {
        Self::seal(Sealer::new(description).code(part("main"), false, body), publisher)
    }

    fn seal(sealer: Sealer<'_>, publisher: SecretKey) -> Self {
        let identity = Identity::generate(&mut rng());
        let mut out = Cursor::new(Vec::new());
        let checked = sealer.check().expect("may be sealed");
        checked.seal(&mut out, &publisher, std::slice::from_ref(identity.recipient()), &mut rng()).expect("sealed");
        Self::opened(out.into_inner(), publisher, identity)
    }

    fn opened(file: Vec<u8>, publisher: SecretKey, identity: Identity) -> Self {
        let sealed = Sealed::open(file.clone()).expect("opens");
        let names = sealed.manifest().parts.iter().map(|part| part.name.clone());
        let keys = names.map(|name| (name.clone(), sealed.unwrap_key(&name, [&identity]).expect("a key"))).collect();
        Self { file, keys, publisher, identity }
    }

    /// What a publisher's own, patched tool could make: the same manifest and stub over another body.
    pub(crate) fn with_body(&self, body: &[u8]) -> Self {
        let sealed = Sealed::open(self.file.clone()).expect("opens");
        let mut manifest: Manifest = sealed.manifest().clone();
        let mut sources: Vec<Box<dyn Read>> = Vec::new();
        for entry in &mut manifest.parts {
            if entry.name == part("main") {
                entry.size = body.len() as u64;
                sources.push(Box::new(Cursor::new(body.to_vec())));
            } else {
                sources.push(Box::new(sealed.part(&entry.name, &self.keys[&entry.name]).expect("a part")));
            }
        }
        let package = Package {
            stub: sealed.stub(),
            manifest,
            sources,
            recipients: std::slice::from_ref(self.identity.recipient()),
        };
        let mut out = Cursor::new(Vec::new());
        package.write(&mut out, &self.publisher, &mut rng()).expect("written");
        Self::opened(out.into_inner(), self.publisher.clone(), Identity::from_bytes(*self.identity.expose()))
    }
}

/// How the gatekeeper answers for an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// A grant for so many seconds.
    Timed(u64),
    /// A grant for so many calls.
    Uses(u32),
    /// No.
    No(Reason),
    /// A grant for another operation than the one asked for.
    Lie,
}

/// Time that the tests set.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Signs grants as a billing server does, for the resource of one fixture.
pub(crate) struct Signer {
    key: SecretKey,
    keys: BTreeMap<PartName, FileKey>,
    rules: Mutex<BTreeMap<&'static str, Rule>>,
    pub(crate) run_max: AtomicU32,
    pub(crate) requests: AtomicU32,
    clock: Arc<TestClock>,
}

impl Signer {
    /// Sets the rule of an operation; each is refused with `payment-required` at first.
    pub(crate) fn rule(&self, operation: &'static str, rule: Rule) {
        self.rules.lock().expect("rules").insert(operation, rule);
    }

    pub(crate) fn offer(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
        rights: Rights,
    ) -> Verified<Offer> {
        let manifest = resource.manifest();
        let minor_units = if rights.is_free() { 0 } else { 199 };
        let offer = Offer {
            iss: manifest.servers[0].origin.clone(),
            id: OfferId::generate(START * 1000, &mut rng()),
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            operation: operation.clone(),
            title: "An offer".into(),
            rights,
            price: Money::new(minor_units, "EUR".parse::<Currency>().expect("EUR")).expect("money"),
            iat: START,
        };
        Verified::sign(offer, &self.key)
    }

    fn release(&self, request: &CycleRequest, rule: Rule) -> Released {
        let manifest = request.resource.manifest();
        let operation = if matches!(rule, Rule::Lie) { op("side") } else { request.operation.clone() };
        let parts = manifest.operation(&operation).expect("known").parts.clone();
        let now = self.clock.now();
        let (exp, uses) = match rule {
            Rule::Timed(seconds) => (now + seconds, None),
            Rule::Uses(uses) => (now + 300, Some(uses)),
            Rule::No(_) | Rule::Lie => (now + 30, None),
        };
        let grant = Grant {
            iss: manifest.servers[0].origin.clone(),
            jti: GrantId::generate(now * 1000, &mut rng()),
            sub: PairwiseId::generate(now * 1000, &mut rng()),
            cnf: Digest::of(b"confirmation"),
            resource: request.resource.digest(),
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            operation,
            parts: parts.clone(),
            model: if uses.is_some() { "uses" } else { "perpetual" }.into(),
            limits: GrantLimits { uses, units: None },
            nonce: request.nonce.clone(),
            iat: now,
            exp,
            run_max: self.run_max.load(Ordering::SeqCst),
        };
        let keys = parts.into_iter().map(|name| (name.clone(), self.keys[&name].clone())).collect();
        Released { grant: Verified::sign(grant, &self.key), keys }
    }
}

struct Code(Released);

#[async_trait]
impl HeldCode for Code {
    async fn verify(self: Box<Self>) -> Result<Released, Refused> {
        Ok(self.0)
    }
}

#[async_trait]
impl Gatekeeper for Signer {
    async fn request(&self, request: CycleRequest) -> Result<Box<dyn HeldCode>, Refused> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let rule = self.rules.lock().expect("rules").get(request.operation.as_str()).copied();
        match rule {
            Some(Rule::No(reason)) => Err(reason.into()),
            Some(rule) => Ok(Box::new(Code(self.release(&request, rule)))),
            None => {
                let offers = vec![self.offer(&request.resource, &request.operation, Rights::Perpetual {})];
                Err(Refused { offers, ..Refused::new(Reason::PaymentRequired) })
            }
        }
    }

    async fn offers(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
    ) -> Result<Vec<Verified<Offer>>, Refused> {
        let rights = if operation.as_str() == "extra" { Rights::Free {} } else { Rights::Perpetual {} };
        Ok(vec![self.offer(resource, operation, rights)])
    }
}

/// A runtime with its resource loaded, and the levers of the test.
pub(crate) struct Bench {
    pub(crate) resource: Resource,
    pub(crate) signer: Arc<Signer>,
    clock: Arc<TestClock>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(&Fixture::new(), |builder| builder)
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        Self::of(&Fixture::new(), |builder| builder.limits(limits))
    }

    pub(crate) fn consenting(consent: impl Consent + 'static) -> Self {
        Self::of(&Fixture::new(), |builder| builder.consent(consent))
    }

    /// `view` is granted for 30 s; all else is refused.
    pub(crate) fn of(fixture: &Fixture, build: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let signer = Arc::new(Signer {
            key: SecretKey::generate(&mut rng()),
            keys: fixture.keys.clone(),
            rules: Mutex::default(),
            run_max: AtomicU32::new(300),
            requests: AtomicU32::new(0),
            clock: Arc::clone(&clock),
        });
        signer.rule("view", Rule::Timed(30));
        let builder = Runtime::builder().gatekeeper(Arc::clone(&signer)).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let runtime = build(builder).build().expect("a runtime");
        let resource = runtime.load(fixture.file.clone()).expect("loads");
        Self { resource, signer, clock }
    }

    pub(crate) async fn view(&self) -> Authorised {
        self.resource.authorize("view").await.expect("authorised")
    }

    /// Lets server time pass, and waits until the runtime has seen it.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(crate) fn requests(&self) -> u32 {
        self.signer.requests.load(Ordering::SeqCst)
    }
}

/// `add(2, 3)`: the honest call that shows that everything else works.
pub(crate) async fn honest(authorised: &Authorised) -> Result<u32, Error> {
    authorised.call_typed::<(u32, u32), (u32,)>(&api("add"), (2, 3)).await.map(|(sum,)| sum)
}

pub(crate) fn nonce(bytes: &[u8]) -> Nonce {
    Nonce::new(bytes.to_vec()).expect("a nonce")
}
