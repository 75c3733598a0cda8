//! A sealed resource and what opens it; and a gatekeeper on this machine that grants it.

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use portcullis_host::{
    Authorised, Consent, CycleRequest, DeclineAll, Error, Gatekeeper, HeldCode, Limits, Refused, Released, Resource,
    Runtime,
};
use portcullis_protocol::age::{FileKey, Identity, Recipient};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::{Package, Sealed};
use portcullis_protocol::{
    Capabilities, Digest, Grant, GrantId, GrantLimits, Manifest, Money, Offer, OfferId, OperationEntry, OperationName,
    PairwiseId, PartName, PublisherEntry, ResourceLimits, Rights, SecretKey, ServerEntry, SignedManifest, Verified,
};
use rand_core::UnwrapErr;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// The guest: honest work, and every misbehaviour, one function each.
pub(super) const GUEST_WAT: &str = include_str!("../../../host/tests/it/guest.wat");
pub(super) const GUEST_WIT: &str = include_str!("../../../host/tests/it/guest.wit");
/// Stands in the paid body and nowhere else.
pub(super) const MARK_OF_THE_BODY: &str = "PLAINTEXT-OF-A-PAID-BODY";
/// With this the paid asset begins.
pub(super) const MARK_OF_THE_ASSET: &[u8] = b"PLAINTEXT-OF-THE-FULL-PART-6f0c1e";

/// The system's randomness.
pub(super) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The full name of an export of the guest.
pub(super) fn api(function: &str) -> String {
    format!("test:guest/api@1.0.0#{function}")
}

pub(super) fn part(name: &str) -> PartName {
    PartName::new(name).expect("the attacks name parts well")
}

fn op(name: &str) -> OperationName {
    OperationName::new(name).expect("the attacks name operations well")
}

/// Makes a component of a core module in text form and a world.
pub(super) fn component(wat: &str, wit: &str, world: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(crate::checkout::root().join("wit"))?;
    let package = resolve.push_str("guest.wit", wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = wat::parse_str(wat)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    ComponentEncoder::default().module(&module)?.encode()
}

/// The honest body.
pub(super) fn guest() -> Result<Vec<u8>> {
    component(GUEST_WAT, GUEST_WIT, "guest")
}

/// The paid asset: 2.5 MiB, so that it has three blocks.
pub(super) fn full() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..2_621_440_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    bytes[..MARK_OF_THE_ASSET.len()].copy_from_slice(MARK_OF_THE_ASSET);
    bytes
}

fn operation(name: &str, exports: &[&str], parts: &[&str]) -> Result<OperationEntry> {
    Ok(OperationEntry {
        name: op(name),
        title: format!("To {name} it"),
        exports: exports.iter().map(|export| api(export).parse()).collect::<Result<_, _>>()?,
        parts: parts.iter().map(|name| part(name)).collect(),
    })
}

/// The resource: `view` and `print` cost something, `preview` does not.
pub(super) fn describe(publisher: &str, key: &SecretKey, version: &str, server: ServerEntry) -> Result<Description> {
    let view = [
        "add", "echo", "greet", "count", "fail", "spin", "grow", "recurse", "flood", "leak", "big", "numbers", "ask",
        "nag", "take", "read", "entry",
    ];
    Ok(Description {
        publisher: PublisherEntry { name: publisher.parse()?, jwk: key.public().clone() },
        name: "alpine-lake".parse()?,
        version: version.parse()?,
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: "A lake below a glacier.".into(),
        operations: vec![
            operation("view", &view, &["main", "full"])?,
            operation("preview", &["other"], &["side"])?,
            operation("print", &[], &["ink"])?,
        ],
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: true,
        servers: vec![server],
    })
}

/// Seals a resource of that description with this body.
pub(super) fn seal(description: Description, body: &[u8], key: &SecretKey, recipient: &Recipient) -> Result<Vec<u8>> {
    let full = full();
    let checked = Sealer::new(description)
        .code(part("main"), false, body)
        .code(part("side"), true, body)
        .asset(part("full"), false, "image/x-raw", full.len() as u64, Cursor::new(full))
        .asset(part("ink"), false, "text/plain", 3, Cursor::new(b"ink"))
        .check()?;
    let mut out = Cursor::new(Vec::new());
    checked.seal(&mut out, key, std::slice::from_ref(recipient), &mut rng())?;
    Ok(out.into_inner())
}

/// A sealed file and what opens it.
pub(super) struct Specimen {
    pub(super) file: Vec<u8>,
    pub(super) keys: BTreeMap<PartName, FileKey>,
    pub(super) publisher: SecretKey,
    identity: Identity,
}

impl Specimen {
    /// A resource of a publisher of its own.
    pub(super) fn new() -> Result<Self> {
        let (publisher, identity) = (SecretKey::generate(&mut rng()), Identity::generate(&mut rng()));
        let server = ServerEntry { origin: "https://store.example".parse()?, root: publisher.public().thumbprint() };
        let description = describe("tester", &publisher, "1.0.0", server)?;
        let file = seal(description, &guest()?, &publisher, identity.recipient())?;
        Self::opened(file, publisher, identity)
    }

    fn opened(file: Vec<u8>, publisher: SecretKey, identity: Identity) -> Result<Self> {
        let sealed = Sealed::open(file.clone())?;
        let names = sealed.manifest().parts.iter().map(|part| part.name.clone());
        let keys = names.map(|name| Ok((name.clone(), sealed.unwrap_key(&name, [&identity])?)));
        let keys = keys.collect::<Result<_>>()?;
        Ok(Self { file, keys, publisher, identity })
    }

    /// What a publisher's own, patched tool could make: the same manifest and stub over another paid body.
    pub(super) fn with_body(&self, body: &[u8]) -> Result<Self> {
        let sealed = Sealed::open(self.file.clone())?;
        let mut manifest: Manifest = sealed.manifest().clone();
        let mut sources: Vec<Box<dyn Read>> = Vec::new();
        for entry in &mut manifest.parts {
            if entry.name == part("main") {
                entry.size = body.len() as u64;
                sources.push(Box::new(Cursor::new(body.to_vec())));
            } else {
                sources.push(Box::new(sealed.part(&entry.name, &self.keys[&entry.name])?));
            }
        }
        let recipients = std::slice::from_ref(self.identity.recipient());
        let package = Package { stub: sealed.stub(), manifest, sources, recipients };
        let mut out = Cursor::new(Vec::new());
        package.write(&mut out, &self.publisher, &mut rng())?;
        Self::opened(out.into_inner(), self.publisher.clone(), Identity::from_bytes(*self.identity.expose()))
    }

    /// The same resource with another file in its place.
    pub(super) fn bench(&self, file: &[u8]) -> Result<Bench, Error> {
        Bench::open(file, &self.keys, Limits::default(), DeclineAll)
    }

    /// Loads a file, authorises `view` with a gatekeeper that always grants, and does honest work.
    pub(super) async fn run(&self, file: &[u8]) -> Result<u32, Error> {
        let bench = self.bench(file)?;
        bench.resource.verify()?;
        honest(&bench.resource.authorize("view").await?).await
    }
}

/// `add(2, 3)`: the honest call that shows that everything else works.
pub(super) async fn honest(authorised: &Authorised) -> Result<u32, Error> {
    authorised.call_typed::<(u32, u32), (u32,)>(&api("add"), (2, 3)).await.map(|(sum,)| sum)
}

/// A runtime with its resource loaded, and the gatekeeper that grants it everything.
pub(super) struct Bench {
    pub(super) resource: Resource,
    pub(super) gate: Arc<Generous>,
}

impl Bench {
    pub(super) fn open(
        file: &[u8],
        keys: &BTreeMap<PartName, FileKey>,
        limits: Limits,
        consent: impl Consent + 'static,
    ) -> Result<Self, Error> {
        let gate = Arc::new(Generous {
            key: SecretKey::generate(&mut rng()),
            keys: keys.clone(),
            requests: AtomicU32::new(0),
        });
        let builder = Runtime::builder().gatekeeper(Arc::clone(&gate)).limits(limits).consent(consent);
        Ok(Self { resource: builder.build()?.load(file.to_vec())?, gate })
    }
}

/// Grants whatever it is asked for, with keys that it has: a billing server without any defence.
pub(super) struct Generous {
    key: SecretKey,
    keys: BTreeMap<PartName, FileKey>,
    requests: AtomicU32,
}

impl Generous {
    /// How many cycles were begun.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    fn release(&self, request: &CycleRequest) -> Option<Released> {
        let manifest = request.resource.manifest();
        let parts = manifest.operation(&request.operation)?.parts.clone();
        let now = now();
        let grant = Grant {
            iss: manifest.servers[0].origin.clone(),
            jti: GrantId::generate(now * 1000, &mut rng()),
            sub: PairwiseId::generate(now * 1000, &mut rng()),
            cnf: Digest::of(b"confirmation"),
            resource: request.resource.digest(),
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            operation: request.operation.clone(),
            parts: parts.clone(),
            model: "perpetual".into(),
            limits: GrantLimits::default(),
            nonce: request.nonce.clone(),
            iat: now,
            exp: now + 300,
            run_max: 300,
        };
        let keys = parts.into_iter().filter_map(|name| Some((name.clone(), self.keys.get(&name)?.clone()))).collect();
        Some(Released { grant: Verified::sign(grant, &self.key), keys })
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
impl Gatekeeper for Generous {
    async fn request(&self, request: CycleRequest) -> Result<Box<dyn HeldCode>, Refused> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let released = self.release(&request).ok_or(portcullis_protocol::Reason::OperationUnknown)?;
        Ok(Box::new(Code(released)))
    }

    async fn offers(
        &self,
        resource: &SignedManifest,
        operation: &OperationName,
    ) -> Result<Vec<Verified<Offer>>, Refused> {
        let manifest = resource.manifest();
        let price = "1.99 EUR".parse::<Money>();
        let price = price.map_err(|_| portcullis_protocol::Reason::OperationUnknown)?;
        let offer = Offer {
            iss: manifest.servers[0].origin.clone(),
            id: OfferId::generate(now() * 1000, &mut rng()),
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            operation: operation.clone(),
            title: "An offer".into(),
            rights: Rights::Perpetual {},
            price,
            iat: now(),
        };
        Ok(vec![Verified::sign(offer, &self.key)])
    }
}

/// The paid body in the clear, as whoever holds its key has it.
pub(super) fn plaintext(specimen: &Specimen) -> Result<Vec<u8>> {
    let sealed = Sealed::open(specimen.file.clone())?;
    let key = specimen.keys.get(&part("main")).ok_or_else(|| anyhow!("no key of the body"))?;
    let body = sealed.read_code(&part("main"), key).context("the body opens with its key")?;
    Ok(body.to_vec())
}
