//! Why the client could not do what it was asked.

use crate::billing_server::TransportError;
use crate::gatekeeper::Refused;
use crate::key_store::KeyStoreError;
use crate::state_dir::StateError;
use portcullis_protocol::sealed::SealedError;
use portcullis_protocol::{Digest, OperationName, PublisherName, ResourceName, Thumbprint, Version};

/// Why the client could not do what it was asked. Says what happened; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said no, or none could be asked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The terminal's own state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A secret.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The server does not do it, for no reason of the registry: the request is wrong, or collides with something. Its
    /// words are not signed: they are shown, and nothing follows from them.
    #[error("the server says no: {detail} (status {status})")]
    Rejected {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// What it says, without characters that disturb a screen.
        detail: String,
    },
    /// The server may have done it: the request went out, and no answer came back in good time. The same request, made
    /// again, finds out, and does nothing twice.
    #[error("nobody knows yet whether it was done: the server gave no answer for {seconds} s ({cause})")]
    OutcomeUnknown {
        /// How long it was asked.
        seconds: u64,
        /// What came last instead of an answer.
        cause: String,
    },
    /// A file could not be fetched or sent.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The user said no on the approval page.
    #[error("the sign-in was denied on the approval page")]
    SignInDenied,
    /// The user did not answer in time.
    #[error("the sign-in was not approved in time; begin again")]
    SignInExpired,
    /// The authorization server said something else.
    #[error("the server did not accept the sign-in: {0}")]
    SignInRefused(String),
    /// No such resource, version or offer.
    #[error("not found: {0}")]
    NotFound(String),
    /// Not the name of anything.
    #[error("not a resource's name, `publisher/name[@version]`, path or address: {0}")]
    Name(String),
    /// The sealed resource is damaged, or not what its manifest says.
    #[error("the sealed resource is not valid: {0}")]
    Package(String),
    /// What arrived is not what was asked for.
    #[error("the file that arrived is another one: expected the resource digest {expected}, found {found}")]
    OtherFile {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// An older version.
    #[error(
        "{resource} {installed} was used here before, and {offered} is older; ask for that version by its number to go back"
    )]
    Rollback {
        /// `publisher/name`.
        resource: String,
        /// What is installed, or the newest that was streamed.
        installed: Version,
        /// What was offered.
        offered: Version,
    },
    /// The version is installed already, with other content.
    #[error(
        "another {publisher}/{name} {version} is installed already: a publisher never changes a version that is out"
    )]
    VersionReused {
        /// The publisher.
        publisher: PublisherName,
        /// The resource.
        name: ResourceName,
        /// The version.
        version: Version,
    },
    /// Signed by a key that nobody vouches for.
    #[error(
        "{publisher} signs with another key ({}) than the one that was pinned ({}), and the old key does not vouch for it",
        found.words(), pinned.words()
    )]
    PublisherChanged {
        /// The publisher.
        publisher: PublisherName,
        /// The key pinned at the first install.
        pinned: Thumbprint,
        /// The key that signs now.
        found: Thumbprint,
    },
    /// The pin of a publisher's key was given up between judging a resource of his and accepting it.
    #[error("the pinned key of {publisher} was given up meanwhile; begin again, and look at the key")]
    PublisherForgotten {
        /// The publisher.
        publisher: PublisherName,
    },
    /// The order was declined by the payment provider.
    #[error("the payment was declined; nothing is owed")]
    Declined,
    /// Several offers would do.
    #[error("there are several offers for `{0}`; choose one")]
    Ambiguous(OperationName),
    /// A file of the user could not be read.
    #[error("cannot read `{path}`: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        cause: String,
    },
}

impl ClientError {
    /// The reason of the closed registry, where it is a refusal: it decides the exit code of a command.
    #[must_use]
    pub const fn reason(&self) -> Option<portcullis_protocol::Reason> {
        match self {
            Self::Refused(refused) => Some(refused.reason),
            Self::Package(_) | Self::OtherFile { .. } => Some(portcullis_protocol::Reason::PackageInvalid),
            // The way is there; it is the file or the address that does not do.
            Self::Transport(TransportError::TooLong | TransportError::Address | TransportError::File(_)) => None,
            Self::Transport(_) | Self::OutcomeUnknown { .. } => Some(portcullis_protocol::Reason::Offline),
            _ => None,
        }
    }
}

impl From<SealedError> for ClientError {
    fn from(error: SealedError) -> Self {
        Self::Package(error.to_string())
    }
}
