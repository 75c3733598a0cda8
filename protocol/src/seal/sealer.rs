//! Putting a resource together.

use super::body::{BodyError, body};
use super::checks;
use super::description::{Description, SuggestedOffer};
use super::openings::{Opening, openings};
use super::refused::{SealError, SealRefused};
use super::stub::stub_of;
use super::uses::check_uses;
use crate::age::{Recipient, encrypted_len};
use crate::census::{Census, CensusError};
use crate::documents::{Manifest, PartEntry, PartKind, ResourceLimits, SignedManifest};
use crate::encoding::Octets;
use crate::ids::{Digest, PartName};
use crate::keys::SecretKey;
use crate::limits::{MAX_CODE_PART, MAX_EXPORTS, MAX_PART, MAX_STUB};
use crate::sealed::Package;
use crate::surface::{Surface, SurfaceError, check_import};
use rand_core::CryptoRng;
use std::fmt;
use std::io::{Cursor, Read, Seek, Write};

/// The media type of code parts (RFC 6838).
const CODE: &str = "application/wasm";

/// Takes what a resource is made of, then checks it.
pub struct Sealer<'a> {
    description: Description,
    parts: Vec<Input<'a>>,
    offers: Vec<SuggestedOffer>,
}

struct Input<'a> {
    name: PartName,
    public: bool,
    content: Content<'a>,
}

enum Content<'a> {
    Code(&'a [u8]),
    Asset { media_type: String, size: u64, source: Box<dyn Read + 'a> },
}

impl<'a> Sealer<'a> {
    /// A resource without parts yet.
    #[must_use]
    pub const fn new(description: Description) -> Self {
        Self { description, parts: Vec::new(), offers: Vec::new() }
    }

    /// Adds a code part: a component, or a core module with its WIT inside.
    #[must_use]
    pub fn code(mut self, name: PartName, public: bool, bytes: &'a [u8]) -> Self {
        self.parts.push(Input { name, public, content: Content::Code(bytes) });
        self
    }

    /// Adds an asset part of exactly `size` bytes. It is read once, while the resource is written.
    #[must_use]
    pub fn asset(
        mut self,
        name: PartName,
        public: bool,
        media_type: impl Into<String>,
        size: u64,
        source: impl Read + 'a,
    ) -> Self {
        let content = Content::Asset { media_type: media_type.into(), size, source: Box::new(source) };
        self.parts.push(Input { name, public, content });
        self
    }

    /// Adds an offer as the publisher would make it.
    #[must_use]
    pub fn offer(mut self, offer: SuggestedOffer) -> Self {
        self.offers.push(offer);
        self
    }

    /// Checks all that can be checked before anything is written, and makes the stub.
    ///
    /// # Errors
    /// [`SealRefused`] says what is wrong and what to do.
    pub fn check(self) -> Result<Checked<'a>, SealRefused> {
        let Self { description, parts, offers } = self;
        description.limits.check()?;
        checks::offers(&offers, &description.operations, description.advisory_metering)?;
        let mut entries = Vec::with_capacity(parts.len());
        let mut sources: Vec<Box<dyn Read + 'a>> = Vec::with_capacity(parts.len());
        let mut bodies: Vec<(PartName, Surface, Vec<u8>)> = Vec::new();
        let names: Vec<PartName> = parts.iter().map(|part| part.name.clone()).collect();
        for part in parts {
            let (kind, media_type, size) = match part.content {
                Content::Code(bytes) => {
                    check_uses(&part.name, bytes, &description.operations, &names)?;
                    let (body, surface) = check_code(&part.name, bytes, &description.limits)?;
                    let size = body.len() as u64;
                    bodies.push((part.name.clone(), surface, body.clone()));
                    sources.push(Box::new(Cursor::new(body)));
                    (PartKind::Code, CODE.to_owned(), size)
                }
                Content::Asset { media_type, size, source } => {
                    if encrypted_len(size).is_none_or(|len| len > MAX_PART) {
                        return Err(SealRefused::TooLarge { part: part.name, size, most: largest_asset() });
                    }
                    sources.push(source);
                    (PartKind::Asset, media_type, size)
                }
            };
            let (commitment, binding) = (Octets([0; 32]), Octets([0; 32]));
            entries.push(PartEntry {
                name: part.name,
                kind,
                media_type,
                size,
                commitment,
                binding,
                public: part.public,
            });
        }
        let (stub, surface) = check_bodies(&bodies)?;
        checks::exports(&description.operations, &surface)?;
        checks::parts(&entries, &description.operations, &offers)?;
        let openings = openings(&entries, &description.operations, &offers);
        let manifest = manifest(description, &stub, &surface, entries);
        manifest.check()?;
        Ok(Checked { stub, surface, manifest, sources, openings })
    }
}

/// A resource that may be sealed.
pub struct Checked<'a> {
    stub: Vec<u8>,
    surface: Surface,
    manifest: Manifest,
    sources: Vec<Box<dyn Read + 'a>>,
    openings: Vec<Opening>,
}

impl Checked<'_> {
    /// What each part is worth: the cheapest way to it.
    #[must_use]
    pub fn openings(&self) -> &[Opening] {
        &self.openings
    }

    /// The exports that no operation maps. They cannot be called.
    pub fn unmapped_exports(&self) -> impl Iterator<Item = &str> {
        self.surface.exports().filter(|export| self.manifest.operation_of(export).is_none())
    }

    /// The stub.
    #[must_use]
    pub fn stub(&self) -> &[u8] {
        &self.stub
    }

    /// The surface of stub and bodies.
    #[must_use]
    pub const fn surface(&self) -> &Surface {
        &self.surface
    }

    /// Encrypts the parts for the recipients, signs, and writes the resource. Memory does not grow with the assets.
    ///
    /// # Errors
    /// [`SealError::Write`].
    pub fn seal<W: Write + Seek>(
        self,
        out: &mut W,
        key: &SecretKey,
        recipients: &[Recipient],
        rng: &mut impl CryptoRng,
    ) -> Result<SignedManifest, SealError> {
        let Self { stub, manifest, sources, .. } = self;
        Ok(Package { stub: &stub, manifest, sources, recipients }.write(out, key, rng)?)
    }
}

impl fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} {}, {} parts)", self.description.name, self.description.version, self.parts.len())
    }
}

impl fmt::Debug for Checked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checked({} {})", self.manifest.name, self.manifest.version)
    }
}

/// One code part by itself: its body, and the surface of it.
fn check_code(part: &PartName, bytes: &[u8], limits: &ResourceLimits) -> Result<(Vec<u8>, Surface), SealRefused> {
    let body = body(bytes).map_err(|error| match error {
        BodyError::Sealed => SealRefused::AlreadySealed { part: part.clone() },
        BodyError::Invalid(reason) => SealRefused::Invalid { part: part.clone(), reason },
        BodyError::TooMany(error) => SealRefused::TooMany { part: part.clone(), error },
        BodyError::World { verb, count } => SealRefused::TooManyFunctions { part: part.clone(), verb, count },
        error => SealRefused::NotAComponent { part: part.clone(), reason: error.to_string() },
    })?;
    if body.len() as u64 > MAX_CODE_PART {
        return Err(SealRefused::TooLarge { part: part.clone(), size: body.len() as u64, most: MAX_CODE_PART });
    }
    let census = Census::of(&body).map_err(|error| match error {
        CensusError::Invalid(reason) => SealRefused::Invalid { part: part.clone(), reason },
        error @ CensusError::TooMany { .. } => SealRefused::TooMany { part: part.clone(), error },
    })?;
    let surface = Surface::of_counted(&body, &census);
    let surface = surface.map_err(|error| SealRefused::Surface { part: part.clone(), error })?;
    for (verb, count) in [("imports", surface.imports().count()), ("exports", surface.exports().count())] {
        if count > MAX_EXPORTS {
            return Err(SealRefused::TooManyFunctions { part: part.clone(), verb, count });
        }
    }
    for import in surface.imported_interfaces() {
        check_import(import).map_err(|import| SealRefused::Import { part: part.clone(), import })?;
    }
    surface.check_billing().map_err(|_| SealRefused::NoBilling { part: part.clone() })?;
    let needs = census.needs().check(|need| limits.given(need));
    needs.map_err(|error| SealRefused::NeverRuns { part: part.clone(), error })?;
    Ok((body, surface))
}

/// The stub of the body that imports most, which has to be the surface of all.
fn check_bodies(bodies: &[(PartName, Surface, Vec<u8>)]) -> Result<(Vec<u8>, Surface), SealRefused> {
    let widest = bodies.iter().max_by_key(|(_, surface, _)| surface.imports().count());
    let (name, surface, body) = widest.ok_or(SealRefused::NoCode)?;
    for (part, other, _) in bodies {
        other.check_within(surface).map_err(|error| SealRefused::SurfaceDiffers {
            part: part.clone(),
            stub: name.clone(),
            error,
        })?;
    }
    let failed = |reason: String| SealRefused::Stub { part: name.clone(), reason };
    let stub = stub_of(body).map_err(|error| failed(error.to_string()))?;
    if stub.len() as u64 > MAX_STUB {
        return Err(SealRefused::StubTooLarge { size: stub.len() as u64 });
    }
    let surface = Surface::of(&stub).map_err(|error: SurfaceError| failed(error.to_string()))?;
    Ok((stub, surface))
}

fn manifest(description: Description, stub: &[u8], surface: &Surface, parts: Vec<PartEntry>) -> Manifest {
    let mut servers = description.servers;
    servers.sort_by(|a, b| a.origin.as_str().cmp(b.origin.as_str()));
    Manifest {
        v: 1,
        publisher: description.publisher,
        name: description.name,
        version: description.version,
        kind: description.kind,
        title: description.title,
        description: description.description,
        stub_digest: Digest::of(stub),
        imports: surface.imports().map(str::to_owned).collect(),
        exports: surface.exports().map(str::to_owned).collect(),
        parts,
        operations: description.operations,
        limits: description.limits,
        capabilities: description.capabilities,
        advisory_metering: description.advisory_metering,
        servers,
    }
}

/// The plaintext that fills a part: 64 KiB for each chunk and its tag.
const fn largest_asset() -> u64 {
    const CHUNK: u64 = 64 * 1024;
    (MAX_PART - 16) / (CHUNK + 16) * CHUNK
}
