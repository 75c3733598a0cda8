//! The resource that is called, and the runtime that is granted it.

use anyhow::{Context as _, Result};
use portcullis_fixtures::{Rule, Signer, TestClock, component, rng};
use portcullis_host::{Limits, Pool, Resource, Runtime, RuntimeBuilder};
use portcullis_protocol::age::{FileKey, Header, Identity};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{
    Capabilities, ExportName, OperationEntry, OperationName, Origin, PartName, PublisherEntry, PublisherName,
    ResourceLimits, ResourceName, SecretKey, ServerEntry, Version,
};
use std::collections::BTreeMap;
use std::io::{Cursor, Seek, Write};
use std::sync::Arc;

/// Exports of the body.
pub(crate) const ADD: &str = "bench:guest/api@1.0.0#add";
/// Gives back what it gets.
pub(crate) const ECHO: &str = "bench:guest/api@1.0.0#echo";
/// The operation that both belong to.
pub(crate) const OPERATION: &str = "view";
/// How long a grant holds: no run takes so long.
const HOUR: u64 = 3600;

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
        Self::of(body(), &[ADD, ECHO])
    }

    /// A body with these exports.
    pub(crate) fn of(body: Vec<u8>, exports: &[&str]) -> Result<Self> {
        let (publisher, identity) = (SecretKey::generate(&mut rng()), Identity::generate(&mut rng()));
        let mut file = Cursor::new(Vec::new());
        let sealer = Sealer::new(description(&publisher, exports, &[CODE])?).code(PartName::new(CODE)?, false, &body);
        sealer.check()?.seal(&mut file, &publisher, std::slice::from_ref(identity.recipient()), &mut rng())?;
        Ok(Self { body, file: file.into_inner(), identity })
    }

    /// The key of the code part.
    pub(crate) fn key(&self) -> Result<FileKey> {
        Ok(Sealed::open(self.file.clone())?.unwrap_key(&PartName::new(CODE)?, [&self.identity])?)
    }

    /// The identity, and the part's key wrapped for it.
    pub(crate) fn wrapped_key(&self) -> Result<Vec<u8>> {
        let mut wrapped = self.identity.expose().to_vec();
        wrapped.extend(Sealed::open(self.file.clone())?.age_header(&PartName::new(CODE)?)?.to_bytes());
        Ok(wrapped)
    }

    /// Loads it into a runtime that is granted everything, for so many uses or for an hour.
    pub(crate) fn load(&self, pool: Option<Pool>, uses: Option<u32>) -> Result<Resource> {
        let builder = granted(self.key()?, uses)?;
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
        Ok(Self { publisher, identity, body: body() })
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
pub(crate) fn body() -> Vec<u8> {
    component(include_str!("guest.wat"), include_str!("guest.wit"), "guest")
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

/// A runtime in the making that is granted the code part which `key` opens, for so many uses or for an hour.
pub(crate) fn granted(key: FileKey, uses: Option<u32>) -> Result<RuntimeBuilder> {
    let clock = Arc::new(TestClock::default());
    let signer = Signer::new(&BTreeMap::from([(PartName::new(CODE)?, key)]), &clock);
    signer.otherwise(uses.map_or(Rule::Timed(HOUR), Rule::Uses));
    Ok(Runtime::builder().limits(Limits::default()).gatekeeper(signer).clock(clock))
}

/// Reads what [`Specimen::wrapped_key`] gives, and unwraps the key, as a terminal does whose grant is held.
pub(crate) fn unwrapped(wrapped: &[u8]) -> Result<FileKey> {
    let (identity, header) = wrapped.split_first_chunk::<32>().context("no identity")?;
    Ok(Header::parse(header)?.0.unwrap_file_key([&Identity::from_bytes(*identity)])?)
}
