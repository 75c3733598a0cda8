//! The manifest: everything a publisher signs about a resource.
//!
//! It travels as a JWS in general JSON serialisation (RFC 7515 section 7.2.1): the publisher's signature first, then
//! the countersignatures of stores. Its payload has one canonical encoding, so that its digest names the resource.

use super::resource_limits::ResourceLimits;
use crate::encoding::{Octets, base64url, from_base64url};
use crate::ids::{Digest, ExportName, OperationName, Origin, PartName, PublisherName, ResourceName};
use crate::jws::{JwsError, protected, read_protected};
use crate::keys::{PublicKey, SecretKey, Thumbprint};
use crate::labels::{TYP_COUNTERSIGNATURE, TYP_MANIFEST};
use crate::limits::{
    MAX_CODE_PART, MAX_DESCRIPTION, MAX_EXPORT_NAME, MAX_EXPORTS, MAX_MANIFEST, MAX_NAME, MAX_OPERATIONS, MAX_PART,
    MAX_PARTS, MAX_SERVERS, MAX_SIGNATURES, MAX_TITLE,
};
use crate::text::{check_json, disturbs, is_media_type};
use crate::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a publisher signs. The order of `parts` is the order of the sections that follow the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form: 1.
    pub v: u32,
    /// Who signs.
    pub publisher: PublisherEntry,
    /// The resource's name within its publisher.
    pub name: ResourceName,
    /// Its version (SemVer).
    pub version: Version,
    /// `software`, `picture`, `music`, `theme`, `video`, or a kind of the publisher's own.
    pub kind: String,
    /// What a person reads.
    pub title: String,
    /// What a person reads about it; may be empty.
    pub description: String,
    /// SHA-256 of every byte before the manifest's section: the stub.
    pub stub_digest: Digest,
    /// What the stub imports: `interface` or `interface#function` names, sorted.
    pub imports: Vec<String>,
    /// What the stub exports, likewise.
    pub exports: Vec<String>,
    /// The encrypted parts, in the order of their sections.
    pub parts: Vec<PartEntry>,
    /// The priced things a user does with it.
    pub operations: Vec<OperationEntry>,
    /// Bounds that the publisher asks for; the operator's are applied as well.
    pub limits: ResourceLimits,
    /// What it needs beyond what every resource has.
    pub capabilities: Capabilities,
    /// Whether the publisher knows that its metering rests on the host's honesty.
    pub advisory_metering: bool,
    /// The billing servers it may be sold by.
    pub servers: Vec<ServerEntry>,
}

/// The publisher, by name and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherEntry {
    /// The name.
    pub name: PublisherName,
    /// The key that signs the manifest.
    pub jwk: PublicKey,
}

/// One encrypted part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// Its name.
    pub name: PartName,
    /// Code or asset.
    pub kind: PartKind,
    /// The media type of an asset (RFC 6838), `application/wasm` for code.
    pub media_type: String,
    /// Bytes in the clear.
    pub size: u64,
    /// Commits to the age payload, block by block.
    pub commitment: Octets<32>,
    /// Binds the part's key to this publisher, name, version and part.
    pub binding: Octets<32>,
    /// Whether the publisher declares it public in effect: a free operation opens it.
    pub public: bool,
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// A component, instantiated under a grant.
    Code,
    /// Bytes, read under a grant.
    Asset,
}

/// An operation and what its grant opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationEntry {
    /// Its name.
    pub name: OperationName,
    /// What a person reads.
    pub title: String,
    /// The exports that run under its grant. One export belongs to one operation.
    pub exports: Vec<ExportName>,
    /// The parts that its grant releases. Where it has exports, exactly one of them is code.
    pub parts: Vec<PartName>,
}

/// What a resource asks for beyond the inert tier of WASI. The operator has to agree to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// The wall clock. Without it, a fixed time is shown.
    pub wall_clock: bool,
    /// Environment variables that the operator passes.
    pub environment: bool,
    /// Directories that the operator passes.
    pub directories: bool,
    /// Records of the bills in the user's mailboxes, through `portcullis:gate/bills`. The user has to agree as well.
    /// Absent is no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bills: bool,
}

/// A billing server that may sell the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerEntry {
    /// Its origin.
    pub origin: Origin,
    /// Its root key.
    pub root: Thumbprint,
}

/// Why a manifest was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// More bytes than a manifest may have.
    #[error("the manifest is longer than allowed")]
    TooLong,
    /// Not the general JSON serialisation, or not its canonical form.
    #[error("the manifest is not a JWS in canonical general JSON serialisation (RFC 7515 section 7.2.1)")]
    Form,
    /// A signature that is no signature of this form, or does not verify.
    #[error("a signature of the manifest is not valid: {0}")]
    Signature(#[from] JwsError),
    /// The payload is not in canonical form.
    #[error("the payload of the manifest is not in its canonical form")]
    Canonical,
    /// The payload says something that cannot be.
    #[error("the manifest contradicts itself: {0}")]
    Content(String),
}

impl Manifest {
    /// Checks everything that can be checked without the parts.
    ///
    /// # Errors
    /// [`ManifestError::Content`] names the first contradiction.
    pub fn check(&self) -> Result<(), ManifestError> {
        let fail = |what: String| Err(ManifestError::Content(what));
        if self.v != 1 {
            return fail(format!("version {} of the form is not known here", self.v));
        }
        for (what, text, most, lines) in [
            ("title", &self.title, MAX_TITLE, false),
            ("description", &self.description, MAX_DESCRIPTION, true),
            ("kind", &self.kind, MAX_NAME, false),
        ] {
            if text.len() > most || text.chars().any(|c| disturbs(c) && !(lines && c == '\n')) {
                return fail(format!(
                    "the {what} is longer than {most} bytes, or holds control, direction or invisible characters"
                ));
            }
        }
        for (what, count, least, most) in [
            ("parts", self.parts.len(), 1, MAX_PARTS),
            ("operations", self.operations.len(), 1, MAX_OPERATIONS),
            ("servers", self.servers.len(), 1, MAX_SERVERS),
            ("imports", self.imports.len(), 1, MAX_EXPORTS),
            ("exports", self.exports.len(), 1, MAX_EXPORTS),
        ] {
            if !(least..=most).contains(&count) {
                return fail(format!("{count} {what}; {least} to {most} are allowed"));
            }
        }
        for names in [&self.imports, &self.exports] {
            if names.iter().any(|name| name.len() > MAX_EXPORT_NAME) || !names.is_sorted_by(|a, b| a < b) {
                return fail("imports and exports are sorted, without repetition, each at most 256 bytes".into());
            }
        }
        if !self.servers.is_sorted_by(|a, b| a.origin.as_str() < b.origin.as_str()) {
            return fail("servers are sorted by origin, without repetition".into());
        }
        let mut names = BTreeSet::new();
        for part in &self.parts {
            if !names.insert(&part.name) {
                return fail(format!("duplicate part `{}`", part.name));
            }
            let most = if part.kind == PartKind::Code { MAX_CODE_PART } else { MAX_PART };
            if part.size > most {
                return fail(format!("part `{}` is larger than {most} bytes", part.name));
            }
            if !is_media_type(&part.media_type) {
                return fail(format!("part `{}` has no usable media type", part.name));
            }
        }
        let imports_bills = self.imports.iter().any(|import| is_of_interface(import, BILLS_INTERFACE));
        if imports_bills != self.capabilities.bills {
            return fail(format!(
                "a resource imports `{BILLS_INTERFACE}` if and only if it asks for it: `bills = true` under [capabilities]"
            ));
        }
        self.check_operations(&names)
    }

    fn check_operations(&self, parts: &BTreeSet<&PartName>) -> Result<(), ManifestError> {
        let fail = |what: String| Err(ManifestError::Content(what));
        let mut names = BTreeSet::new();
        let mut exports = BTreeSet::new();
        for operation in &self.operations {
            let name = &operation.name;
            if !names.insert(name) {
                return fail(format!("duplicate operation `{name}`"));
            }
            if operation.title.len() > MAX_TITLE || operation.title.chars().any(disturbs) {
                return fail(format!(
                    "the title of operation `{name}` is longer than {MAX_TITLE} bytes, or holds control, direction or invisible characters"
                ));
            }
            if operation.exports.len() > MAX_EXPORTS {
                return fail(format!("operation `{name}` has more than {MAX_EXPORTS} exports"));
            }
            for export in &operation.exports {
                if !exports.insert(export) {
                    return fail(format!("export `{export}` belongs to two operations"));
                }
                if !self.exports.iter().any(|known| known == export.as_str()) {
                    return fail(format!("operation `{name}` names `{export}`, which the resource does not export"));
                }
            }
            let mut own = BTreeSet::new();
            for part in &operation.parts {
                if !parts.contains(part) || !own.insert(part) {
                    return fail(format!(
                        "operation `{name}` names part `{part}`, which does not exist or is a duplicate"
                    ));
                }
            }
            let code = operation.parts.iter().filter(|part| self.part(part).is_some_and(|p| p.kind == PartKind::Code));
            let code = code.count();
            if (operation.exports.is_empty() && code != 0) || (!operation.exports.is_empty() && code != 1) {
                return fail(format!(
                    "operation `{name}` needs exactly one code part for its exports, and none without exports"
                ));
            }
        }
        match self.parts.iter().find(|part| !self.operations.iter().any(|o| o.parts.contains(&part.name))) {
            Some(part) => fail(format!("part `{}` belongs to no operation, so nothing could ever open it", part.name)),
            None => Ok(()),
        }
    }

    /// The part named so.
    #[must_use]
    pub fn part(&self, name: &PartName) -> Option<&PartEntry> {
        self.parts.iter().find(|part| part.name == *name)
    }

    /// The operation named so.
    #[must_use]
    pub fn operation(&self, name: &OperationName) -> Option<&OperationEntry> {
        self.operations.iter().find(|operation| operation.name == *name)
    }

    /// The operation under whose grant an export runs.
    #[must_use]
    pub fn operation_of(&self, export: &str) -> Option<&OperationEntry> {
        self.operations.iter().find(|operation| operation.exports.iter().any(|name| name.as_str() == export))
    }

    /// The code part that an operation instantiates.
    #[must_use]
    pub fn code_part(&self, operation: &OperationEntry) -> Option<&PartEntry> {
        operation.parts.iter().filter_map(|name| self.part(name)).find(|part| part.kind == PartKind::Code)
    }
}

/// What `capabilities.bills` stands for.
const BILLS_INTERFACE: &str = "portcullis:gate/bills";

/// Whether an import, `interface@version` or `interface@version#function`, is of an interface.
fn is_of_interface(import: &str, interface: &str) -> bool {
    import.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '#']))
}

/// The member that may have several lines.
const PARAGRAPHS: &[&str] = &["description"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    payload: String,
    signatures: Vec<GeneralSignature>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneralSignature {
    protected: String,
    signature: Octets<64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountersignatureHeader {
    alg: String,
    iat: u64,
    iss: Origin,
    jwk: PublicKey,
    typ: String,
}

/// "This server sells this digest": a store's signature over the publisher's payload. That it verifies says only that
/// `key` made it; whether `key` was the server's at `iat` is for whoever trusts that server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countersignature {
    /// The server.
    pub iss: Origin,
    /// The key it signed with.
    pub key: PublicKey,
    /// When, Unix seconds.
    pub iat: u64,
}

/// A manifest whose every signature verified and whose content is coherent.
#[derive(Clone)]
pub struct SignedManifest {
    manifest: Manifest,
    payload: String,
    digest: Digest,
    signatures: Vec<GeneralSignature>,
    countersignatures: Vec<Countersignature>,
}

impl std::fmt::Debug for SignedManifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedManifest({} {} {})", self.manifest.name, self.manifest.version, self.digest)
    }
}

impl SignedManifest {
    /// Checks and signs a manifest with its publisher's key.
    ///
    /// # Errors
    /// [`ManifestError::Content`], also where `key` is not the one the manifest names.
    pub fn sign(manifest: Manifest, key: &SecretKey) -> Result<Self, ManifestError> {
        manifest.check()?;
        if manifest.publisher.jwk != *key.public() {
            return Err(ManifestError::Content("the publisher key in the manifest is not the one that signs".into()));
        }
        let bytes = serde_json::to_vec(&manifest).map_err(|_| ManifestError::Canonical)?;
        check_json(&bytes, PARAGRAPHS).map_err(|error| ManifestError::Content(error.to_string()))?;
        let payload = base64url(&bytes);
        let protected = protected(TYP_MANIFEST, key.public().thumbprint());
        let signature = key.sign(format!("{protected}.{payload}").as_bytes());
        let signed = Self {
            manifest,
            digest: Digest::of(&bytes),
            payload,
            signatures: vec![GeneralSignature { protected, signature }],
            countersignatures: Vec::new(),
        };
        if signed.to_bytes().len() > MAX_MANIFEST { Err(ManifestError::TooLong) } else { Ok(signed) }
    }

    /// Adds a store's countersignature. The digest stays. One that the same server made before is replaced.
    ///
    /// # Errors
    /// [`ManifestError::TooLong`] if it would be one signature too many.
    pub fn countersign(&mut self, iss: Origin, key: &SecretKey, now: u64) -> Result<(), ManifestError> {
        if let Some(index) = self.countersignatures.iter().position(|c| c.iss == iss) {
            self.countersignatures.remove(index);
            self.signatures.remove(index + 1);
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(ManifestError::TooLong);
        }
        let header = CountersignatureHeader {
            alg: "EdDSA".into(),
            iat: now,
            iss: iss.clone(),
            jwk: key.public().clone(),
            typ: TYP_COUNTERSIGNATURE.into(),
        };
        let protected = base64url(&serde_json::to_vec(&header).map_err(|_| ManifestError::Form)?);
        let signature = key.sign(format!("{protected}.{}", self.payload).as_bytes());
        self.signatures.push(GeneralSignature { protected, signature });
        self.countersignatures.push(Countersignature { iss, key: key.public().clone(), iat: now });
        Ok(())
    }

    /// Reads and verifies the general JSON serialisation: canonical form, every signature, the content.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn verify(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLong);
        }
        let general: General = serde_json::from_slice(bytes).map_err(|_| ManifestError::Form)?;
        if serde_json::to_vec(&general).map_err(|_| ManifestError::Form)? != bytes {
            return Err(ManifestError::Form);
        }
        if general.signatures.is_empty() || general.signatures.len() > MAX_SIGNATURES {
            return Err(ManifestError::Form);
        }
        let payload = from_base64url(&general.payload).map_err(|_| ManifestError::Form)?;
        // First: the errors of what reads it repeat the names of its members.
        check_json(&payload, PARAGRAPHS).map_err(|error| ManifestError::Content(error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&payload).map_err(|e| ManifestError::Content(e.to_string()))?;
        if serde_json::to_vec(&manifest).map_err(|_| ManifestError::Canonical)? != payload {
            return Err(ManifestError::Canonical);
        }
        let mut countersignatures = Vec::new();
        for (index, entry) in general.signatures.iter().enumerate() {
            let key = if index == 0 {
                if read_protected(&entry.protected, TYP_MANIFEST)? != manifest.publisher.jwk.thumbprint() {
                    return Err(JwsError::Key.into());
                }
                manifest.publisher.jwk.clone()
            } else {
                let counter = read_countersignature(&entry.protected)?;
                let key = counter.key.clone();
                if countersignatures.iter().any(|c: &Countersignature| c.iss == counter.iss) {
                    return Err(ManifestError::Form);
                }
                countersignatures.push(counter);
                key
            };
            key.verify(format!("{}.{}", entry.protected, general.payload).as_bytes(), &entry.signature)
                .map_err(|_| JwsError::Signature)?;
        }
        manifest.check()?;
        Ok(Self {
            manifest,
            digest: Digest::of(&payload),
            payload: general.payload,
            signatures: general.signatures,
            countersignatures,
        })
    }

    /// The one canonical encoding.
    ///
    /// # Panics
    /// Never: it consists of texts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let general = General { payload: self.payload.clone(), signatures: self.signatures.clone() };
        serde_json::to_vec(&general).expect("texts serialise")
    }

    /// What the publisher signed.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The resource digest: SHA-256 of the payload bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The stores that sell it, by their own word.
    #[must_use]
    pub fn countersignatures(&self) -> &[Countersignature] {
        &self.countersignatures
    }
}

fn read_countersignature(text: &str) -> Result<Countersignature, ManifestError> {
    let bytes = from_base64url(text).map_err(|_| JwsError::Form)?;
    let header: CountersignatureHeader = serde_json::from_slice(&bytes).map_err(|_| JwsError::Header)?;
    if header.alg != "EdDSA" || serde_json::to_vec(&header).ok().as_deref() != Some(&bytes) {
        return Err(JwsError::Header.into());
    }
    if header.typ != TYP_COUNTERSIGNATURE {
        return Err(JwsError::Type { expected: TYP_COUNTERSIGNATURE }.into());
    }
    Ok(Countersignature { iss: header.iss, key: header.jwk, iat: header.iat })
}
