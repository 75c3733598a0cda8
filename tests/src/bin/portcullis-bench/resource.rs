//! The resource that is called, and who signs the grants for it.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use portcullis_host::{
    Clock as _, CycleRequest, Gatekeeper, HeldCode, Limits, Pool, Refused, Released, Resource, Runtime, SystemClock,
};
use portcullis_protocol::age::{FileKey, Header, Identity};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{
    Capabilities, Digest, ExportName, Grant, GrantId, GrantLimits, Offer, OperationEntry, OperationName, Origin,
    PairwiseId, PartName, PublisherEntry, PublisherName, ResourceLimits, ResourceName, SecretKey, ServerEntry,
    SignedManifest, Verified, Version,
};
use rand_core::UnwrapErr;
use std::io::{Cursor, Seek, Write};
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

/// Name of the code part of every specimen.
const CODE: &str = "main";
/// Name of the asset part of those that have one.
const ASSET: &str = "asset";

/// A body, and the resource it is sealed in.
pub(crate) struct Specimen {
    pub(crate) body: Vec<u8>,
    pub(crate) file: Vec<u8>,
    pub(crate) identity: Identity,
}

impl Specimen {
    /// The guest of `guest.wat`.
    pub(crate) fn new() -> Result<Self> {
        Self::of(body()?, &[ADD, ECHO])
    }

    /// A body with these exports.
    pub(crate) fn of(body: Vec<u8>, exports: &[&str]) -> Result<Self> {
        let (publisher, identity) = (SecretKey::generate(&mut rng()), Identity::generate(&mut rng()));
        let mut file = Cursor::new(Vec::new());
        let sealer = Sealer::new(description(&publisher, exports, &[CODE])?).code(PartName::new(CODE)?, false, &body);
        sealer.check()?.seal(&mut file, &publisher, std::slice::from_ref(identity.recipient()), &mut rng())?;
        Ok(Self { body, file: file.into_inner(), identity })
    }

    /// The identity, and the part's key wrapped for it.
    pub(crate) fn wrapped_key(&self) -> Result<Vec<u8>> {
        let mut wrapped = self.identity.expose().to_vec();
        wrapped.extend(Sealed::open(self.file.clone())?.age_header(&PartName::new(CODE)?)?.to_bytes());
        Ok(wrapped)
    }

    /// Loads it into a runtime that is granted everything, for so many uses or for an hour.
    pub(crate) fn load(&self, pool: Option<Pool>, uses: Option<u32>) -> Result<Resource> {
        let builder =
            Runtime::builder().limits(Limits::default()).gatekeeper(Signer::of(&self.file, &self.identity, uses)?);
        let builder = if let Some(pool) = pool { builder.pool(pool) } else { builder };
        Ok(builder.build()?.load(self.file.clone())?)
    }
}

/// A resource with an asset.
pub(crate) struct Asset {
    publisher: SecretKey,
    identity: Identity,
    body: Vec<u8>,
}

impl Asset {
    pub(crate) fn new() -> Result<Self> {
        let (publisher, identity) = (SecretKey::generate(&mut rng()), Identity::generate(&mut rng()));
        Ok(Self { publisher, identity, body: body()? })
    }

    pub(crate) fn part() -> Result<PartName> {
        Ok(PartName::new(ASSET)?)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Seals `plain` as the asset, into `out`.
    pub(crate) fn seal(&self, plain: &[u8], out: &mut (impl Write + Seek)) -> Result<()> {
        let description = description(&self.publisher, &[ADD, ECHO], &[CODE, ASSET])?;
        let sealer = Sealer::new(description).code(PartName::new(CODE)?, false, &self.body);
        let sealer = sealer.asset(Self::part()?, false, "application/octet-stream", plain.len() as u64, plain);
        let recipients = std::slice::from_ref(self.identity.recipient());
        sealer.check()?.seal(out, &self.publisher, recipients, &mut rng())?;
        Ok(())
    }
}

/// The component of `guest.wat`.
pub(crate) fn body() -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))?;
    let package = resolve.push_str("guest.wit", include_str!("guest.wit"))?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    let mut module = wat::parse_str(include_str!("guest.wat"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    ComponentEncoder::default().module(&module)?.encode().context("the guest is no component")
}

fn description(publisher: &SecretKey, exports: &[&str], parts: &[&str]) -> Result<Description> {
    let exports: Result<Vec<_>, _> = exports.iter().map(|export| ExportName::new(*export)).collect();
    let parts: Result<Vec<_>, _> = parts.iter().map(|part| PartName::new(*part)).collect();
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
            exports: exports?,
            parts: parts?,
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
pub(crate) struct Signer {
    signing: SecretKey,
    part: PartName,
    key: FileKey,
    uses: Option<u32>,
}

impl Signer {
    /// Reads what [`Specimen::wrapped_key`] gives, and unwraps the key, as a terminal does whose grant is held.
    pub(crate) fn read(wrapped: &[u8]) -> Result<Self> {
        let (identity, header) = wrapped.split_first_chunk::<32>().context("no identity")?;
        let key = Header::parse(header)?.0.unwrap_file_key([&Identity::from_bytes(*identity)])?;
        Ok(Self { signing: SecretKey::generate(&mut rng()), part: PartName::new(CODE)?, key, uses: None })
    }

    /// Grants what `identity` opens of a sealed file.
    pub(crate) fn of(file: &[u8], identity: &Identity, uses: Option<u32>) -> Result<Self> {
        let part = PartName::new(CODE)?;
        let key = Sealed::open(file.to_vec())?.unwrap_key(&part, [identity])?;
        Ok(Self { signing: SecretKey::generate(&mut rng()), part, key, uses })
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
