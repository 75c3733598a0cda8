//! What is public about a resource, readable without any grant.

use crate::run::limits::Limits;
use portcullis_protocol::{
    Capabilities, Digest, OperationEntry, Origin, PartKind, PartName, PublisherName, ResourceName, ServerEntry,
    SignedManifest, Thumbprint, Version,
};
use serde::Serialize;

/// The facts of a sealed resource, from its verified manifest, and what holds on this terminal. What it costs is not
/// among them: prices are the billing server's.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The resource digest.
    pub digest: Digest,
    /// The publisher.
    pub publisher: PublisherName,
    /// The key that signed it.
    pub publisher_key: Thumbprint,
    /// The resource's name.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// Its kind.
    pub kind: String,
    /// What a person reads.
    pub title: String,
    /// What a person reads about it.
    pub description: String,
    /// What it can do, with the exports and parts of each.
    pub operations: Vec<OperationEntry>,
    /// Its encrypted parts.
    pub parts: Vec<PartFacts>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The bounds it would run with here: of each pair, operator and publisher, the lower one.
    pub limits: Limits,
    /// What it asks for beyond the inert tier.
    pub asks: Capabilities,
    /// What of that it would get here.
    pub gets: Capabilities,
    /// Whether its metering rests on the host's honesty.
    pub advisory_metering: bool,
    /// The billing servers that may sell it.
    pub servers: Vec<ServerEntry>,
    /// The servers that say they sell it. Whether they are trusted is another question.
    pub countersigned_by: Vec<Origin>,
}

/// One encrypted part.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PartFacts {
    /// Its name.
    pub name: PartName,
    /// Code or asset.
    pub kind: PartKind,
    /// Its media type.
    pub media_type: String,
    /// Bytes in the clear.
    pub size: u64,
    /// Whether a free operation opens it.
    pub public: bool,
}

impl Inspection {
    pub(crate) fn of(signed: &SignedManifest, limits: Limits, gets: Capabilities) -> Self {
        let manifest = signed.manifest().clone();
        let parts = manifest.parts.into_iter().map(|part| PartFacts {
            name: part.name,
            kind: part.kind,
            media_type: part.media_type,
            size: part.size,
            public: part.public,
        });
        Self {
            digest: signed.digest(),
            publisher: manifest.publisher.name,
            publisher_key: manifest.publisher.jwk.thumbprint(),
            name: manifest.name,
            version: manifest.version,
            kind: manifest.kind,
            title: manifest.title,
            description: manifest.description,
            operations: manifest.operations,
            parts: parts.collect(),
            imports: manifest.imports,
            exports: manifest.exports,
            limits,
            asks: manifest.capabilities,
            gets,
            advisory_metering: manifest.advisory_metering,
            servers: manifest.servers,
            countersigned_by: signed.countersignatures().iter().map(|c| c.iss.clone()).collect(),
        }
    }
}
