//! Why the client could not do what it was asked.

use crate::ports::gatekeeper::Refused;
use crate::ports::transport::TransportError;
use crate::state::folder::StateError;
use crate::state::key_store::KeyStoreError;
use portcullis_protocol::sealed::SealedError;
use portcullis_protocol::{
    Digest, MerchantName, OperationName, OrderId, Origin, PublisherName, Reason, ResourceName, Thumbprint, Version,
};

/// Why the client could not do what it was asked. Says what happened; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said no, or none could be asked.
    #[error(transparent)]
    Refused(Refused),
    /// The terminal's own state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A secret.
    #[error(transparent)]
    KeyStore(KeyStoreError),
    /// The server calls itself otherwise than it was asked for, and its root key says the same: `localhost` instead of
    /// `127.0.0.1`, or an old name.
    #[error("the server at {asked} names itself {named}: use that address")]
    OtherAddress {
        /// The address that was asked for.
        asked: Origin,
        /// The one that it names.
        named: Origin,
    },
    /// The server does not do it, for no reason of the registry: the request is wrong, or collides with something. Its
    /// words are not signed: they are shown, and nothing follows from them.
    #[error("the server refused: {detail} (status {status})")]
    Rejected {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// What it says, without characters that disturb a screen.
        detail: String,
    },
    /// The server may have done it: the request went out, and no answer that can be believed came back in good time.
    /// The same request, made again, finds out, and does nothing twice.
    #[error("it is not known whether this was done: no answer that can be believed came in {seconds} s ({cause})")]
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
    #[error("the server sent another file: expected the resource digest {expected}, found {found}")]
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
    /// The user was told other words than those of the key that a publisher or a merchant has.
    #[error("the key of {whose} is {}, by the store's word, and other words were given", found.words())]
    KeyNotAsTold {
        /// The publisher or merchant.
        whose: String,
        /// Its key here.
        found: Thumbprint,
    },
    /// A merchant signs with a key that nobody vouches for.
    #[error(
        "the merchant {merchant} signs with another key ({}) than the one that was pinned ({}), and the old key does not vouch for it",
        found.words(), pinned.words()
    )]
    MerchantChanged {
        /// The merchant.
        merchant: MerchantName,
        /// The key pinned at the first purchase.
        pinned: Thumbprint,
        /// The key that signs now.
        found: Thumbprint,
    },
    /// What was delivered for an order of codes is not what was bought, so that the store is told that it cannot be
    /// read.
    #[error("the code of order {order} is not what was bought: {why}. {told}")]
    CodeNotAsBought {
        /// The order.
        order: OrderId,
        /// What does not fit.
        why: String,
        /// What the store says of that.
        told: String,
    },
    /// Nothing was bought from a merchant at this terminal before, so that nobody has compared its key.
    #[error("nothing was bought from {merchant} at this terminal before. Its key, by the store's word: {}", found.words())]
    MerchantNew {
        /// The merchant.
        merchant: MerchantName,
        /// The key that the store says it has.
        found: Thumbprint,
    },
    /// Several stores are signed in to, and none was named.
    #[error("several stores could be meant: {0}")]
    SeveralStores(String),
    /// Stores that the user trusts mean different publishers by one name.
    #[error(
        "{publisher} is not the same at the stores that you trust: {}",
        stores.iter().map(|(store, key)| format!("{store} has the key {}", key.words())).collect::<Vec<_>>().join("; ")
    )]
    SeveralPublishers {
        /// The publisher's name.
        publisher: PublisherName,
        /// Each store with the key that it shows, or that is pinned for it.
        stores: Vec<(Origin, Thumbprint)>,
    },
    /// A store that the user trusts cannot be asked, and may mean another publisher by that name.
    #[error("{resource} is at {found}, and {silent} cannot be asked whether it means the same: {cause}")]
    SilentStore {
        /// `publisher/name`.
        resource: String,
        /// The store that has it.
        found: Origin,
        /// The store that did not answer.
        silent: Origin,
        /// Why not.
        cause: String,
    },
    /// The pin of a publisher's key was given up between judging a resource of his and accepting it.
    #[error("the pinned key of {publisher} was changed by another process; start again, and check the key")]
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
    /// The reason of the closed registry, if it is a refusal: it decides the exit code of a command.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refused) => Some(refused.reason),
            Self::OtherAddress { .. } => Some(Reason::ServerUntrusted),
            Self::Package(_) | Self::OtherFile { .. } => Some(Reason::PackageInvalid),
            // The way is there; it is the file or the address that does not do.
            Self::Transport(TransportError::TooLong | TransportError::Address | TransportError::File(_)) => None,
            Self::Transport(TransportError::CertificateTime(_)) => Some(Reason::ClockSuspect),
            Self::Transport(_) | Self::OutcomeUnknown { .. } => Some(Reason::Offline),
            _ => None,
        }
    }
}

/// What the terminal's own state has to do with it is not the server's no.
impl From<Refused> for ClientError {
    fn from(refused: Refused) -> Self {
        match refused.state {
            Some(state) => Self::State(*state),
            None => Self::Refused(refused),
        }
    }
}

impl From<KeyStoreError> for ClientError {
    fn from(error: KeyStoreError) -> Self {
        error.into_state().map_or_else(Self::KeyStore, Self::State)
    }
}

impl From<SealedError> for ClientError {
    fn from(error: SealedError) -> Self {
        Self::Package(error.to_string())
    }
}
