//! The resource that is called, and who signs the grants for it.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use portcullis_host::{
    Clock as _, CycleRequest, Gatekeeper, HeldCode, Limits, Pool, Refused, Released, Resource, Runtime, SystemClock,
};
use portcullis_protocol::age::{FileKey, Identity};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{
    Capabilities, Digest, ExportName, Grant, GrantId, GrantLimits, Offer, OperationEntry, OperationName, Origin,
    PairwiseId, PartName, PublisherEntry, PublisherName, ResourceLimits, ResourceName, SecretKey, ServerEntry,
    SignedManifest, Verified, Version,
};
use rand_core::UnwrapErr;
use std::io::Cursor;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Exports of the body.
pub(crate) const ADD: &str = "bench:guest/api@1.0.0#add";
/// Gives back what it gets.
pub(crate) const ECHO: &str = "bench:guest/api@1.0.0#echo";
/// The operation that both belong to.
pub(crate) const OPERATION: &str = "view";
/// How long a grant holds: no run takes so long.
const HOUR: u64 = 3600;

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// The body, and the resource it is sealed in.
pub(crate) struct Specimen {
    pub(crate) body: Vec<u8>,
    file: Vec<u8>,
    part: PartName,
    key: FileKey,
}

impl Specimen {
    pub(crate) fn new() -> Result<Self> {
        let body = body()?;
        let (publisher, identity) = (SecretKey::generate(&mut rng()), Identity::generate(&mut rng()));
        let part = PartName::new("main")?;
        let sealer = Sealer::new(description(&publisher, &part)?).code(part.clone(), false, &body);
        let mut file = Cursor::new(Vec::new());
        sealer.check()?.seal(&mut file, &publisher, std::slice::from_ref(identity.recipient()), &mut rng())?;
        let file = file.into_inner();
        let key = Sealed::open(file.clone())?.unwrap_key(&part, [&identity])?;
        Ok(Self { body, file, part, key })
    }

    /// Loads it into a runtime that is granted everything, for so many uses or for an hour.
    pub(crate) fn load(&self, pool: Option<Pool>, uses: Option<u32>) -> Result<Resource> {
        let signer =
            Signer { signing: SecretKey::generate(&mut rng()), part: self.part.clone(), key: self.key.clone(), uses };
        let builder = Runtime::builder().limits(Limits::default()).gatekeeper(signer);
        let builder = if let Some(pool) = pool { builder.pool(pool) } else { builder };
        Ok(builder.build()?.load(self.file.clone())?)
    }
}

fn body() -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))?;
    let package = resolve.push_str("guest.wit", include_str!("guest.wit"))?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    let mut module = wat::parse_str(include_str!("guest.wat"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    ComponentEncoder::default().module(&module)?.encode().context("the guest is no component")
}

fn description(publisher: &SecretKey, part: &PartName) -> Result<Description> {
    Ok(Description {
        publisher: PublisherEntry { name: PublisherName::new("bench")?, jwk: publisher.public().clone() },
        name: ResourceName::new("guest")?,
        version: Version::new(1, 0, 0),
        kind: "software".into(),
        title: "What is measured".into(),
        description: String::new(),
        operations: vec![OperationEntry {
            name: OperationName::new(OPERATION)?,
            title: "Call".into(),
            exports: vec![ExportName::new(ADD)?, ExportName::new(ECHO)?],
            parts: vec![part.clone()],
        }],
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: true,
        servers: vec![ServerEntry {
            origin: Origin::new("https://store.example")?,
            root: publisher.public().thumbprint(),
        }],
    })
}

/// Signs grants as a billing server does.
struct Signer {
    signing: SecretKey,
    part: PartName,
    key: FileKey,
    uses: Option<u32>,
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
        let manifest = request.resource.manifest();
        let now = SystemClock.now();
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
            parts: vec![self.part.clone()],
            model: if self.uses.is_some() { "uses" } else { "perpetual" }.into(),
            limits: GrantLimits { uses: self.uses, units: None },
            nonce: request.nonce.clone(),
            iat: now,
            exp: now + HOUR,
            run_max: 300,
        };
        let keys = vec![(self.part.clone(), self.key.clone())];
        Ok(Box::new(Code(Released { grant: Verified::sign(grant, &self.signing), keys })))
    }

    async fn offers(&self, _: &SignedManifest, _: &OperationName) -> Result<Vec<Verified<Offer>>, Refused> {
        Ok(Vec::new())
    }
}
