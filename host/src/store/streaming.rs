//! A resource that is not installed: verified like one that is, and then read from its store by range.

use crate::client_error::ClientError;
use crate::ports::transport::TransportError;
use crate::run::source::{File, Source, StreamedSource};
use crate::server::session::Sessions;
use crate::state::clock::Clock as _;
use crate::state::folder::{StateError, file_name, off_thread};
use crate::store::install_source::InstallSource;
use crate::store::library::{Library, check_size};
use crate::store::publisher_pin::{JudgedPublisher, Standing};
use crate::store::range_cache::{self, KeptStreams, StreamCache};
use crate::store::range_reader::RangeReader;
use crate::store::replacement;
use crate::store::storefront::Listing;
use crate::store::taken_from::TakenFrom;
use crate::store::version_marks::VersionMarks;
use portcullis_protocol::paths;
use portcullis_protocol::sealed::{Sealed, SealedError};
use portcullis_protocol::wire::CatalogueVersion;
use portcullis_protocol::{Listed, Offer, Origin, SignedManifest, Thumbprint, UnknownEntry, Verified};
use std::fmt;
use std::sync::Arc;

/// A resource at its store whose signatures, stub and block lists are verified. Of its parts nothing has been fetched.
/// Dropping it leaves nothing behind but what has arrived, as ciphertext, for the next time.
pub struct Streaming {
    sessions: Arc<Sessions>,
    taken_from: TakenFrom,
    streamed: StreamedSource,
    server: Origin,
    publisher: JudgedPublisher,
    offers: Listed<Verified<Offer>>,
    bytes: u64,
    allow_older: bool,
}

impl Library {
    /// Opens a resource at its store without installing it: reads its index, a few hundred KB, by range, and verifies
    /// all that [`Library::prepare`] does but the blocks of the parts, each of which is verified when it is read.
    ///
    /// What arrives is kept as ciphertext, up to 2 GiB over all resources, so that a later run goes on from there;
    /// if the disk cannot take it, 8 MiB are kept in memory.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Name`] if `source` is no store.
    pub async fn stream(&self, source: &InstallSource, allow_older: bool) -> Result<Streaming, ClientError> {
        let InstallSource::Store { server, publisher, name, version } = source else {
            return Err(ClientError::Name("only a store streams; install files and addresses".into()));
        };
        let (listing, wanted) = self.wanted(server.as_ref(), publisher, name, version.as_ref()).await?;
        let streamed = self.open_remote(&listing, &wanted).await?;
        let allow_older = allow_older || version.is_some();
        let signed = streamed.sealed.signed();
        let (server, publisher, _, offers) = self.judge_manifest(signed, Some(listing), None, allow_older).await?;
        let (sessions, taken_from) = (Arc::clone(self.sessions()), self.taken_from().clone());
        Ok(Streaming { sessions, taken_from, streamed, server, publisher, offers, bytes: wanted.size, allow_older })
    }

    /// The manifest of a version that a store lists, whoever signed it and whether or not it is sold: for a publisher,
    /// who wants to know what stands in his name. Its index is fetched and verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn manifest_of(
        &self,
        listing: &Listing,
        version: &CatalogueVersion,
    ) -> Result<SignedManifest, ClientError> {
        check_size(version)?;
        Ok(self.open_remote(listing, version).await?.sealed.signed().clone())
    }

    /// What is kept of resources that were streamed: ciphertext, in the folder `streams` of the state directory.
    ///
    /// # Errors
    /// [`StateError`] if the folder cannot be read.
    pub fn streams(&self) -> Result<KeptStreams, StateError> {
        let state = &self.sessions().state;
        KeptStreams::of(state).map_err(|error| StateError::io("read", &state.path(range_cache::FOLDER), &error))
    }

    /// Forgets what is kept of resources that were streamed, and returns how many there were: the next stream fetches
    /// anew.
    ///
    /// # Errors
    /// [`StateError`] if something cannot be removed.
    pub fn clear_streams(&self) -> Result<usize, StateError> {
        let state = &self.sessions().state;
        KeptStreams::clear(state).map_err(|error| StateError::io("clear", &state.path(range_cache::FOLDER), &error))
    }

    async fn open_remote(&self, listing: &Listing, wanted: &CatalogueVersion) -> Result<StreamedSource, ClientError> {
        let sessions = Arc::clone(self.sessions());
        let url = format!("{}{}", listing.server, paths::fill(paths::FILE, &[&wanted.digest]));
        let etag = format!("\"{}\"", wanted.digest);
        // Another store may have the same resource with other countersignatures.
        let name = format!("{}@{}", wanted.digest, file_name(&listing.server));
        let (remote, mut resumed) = match self.open_streams().get(&name) {
            // Twice at once in this process: fetched once.
            Some(remote) => (remote, true),
            None => {
                let (state, size, of) = (Arc::clone(&sessions.state), wanted.size, name.clone());
                let kept = off_thread(move || StreamCache::open(&state, &of, size)).await?;
                let resumed = kept.have() > 0;
                let remote = Arc::new(RangeReader::new(Arc::clone(&sessions.server), url, etag, kept, size));
                self.open_streams().insert(name, &remote);
                (remote, resumed)
            }
        };
        let shared = remote.shared();
        let expected = wanted.digest;
        loop {
            let source: File = Box::new(Arc::clone(&remote));
            let error = match off_thread(move || Sealed::open(source)).await? {
                Ok(sealed) if sealed.digest() == expected => {
                    return Ok(StreamedSource { sealed, arrivals: shared });
                }
                Ok(sealed) => ClientError::OtherFile { expected, found: sealed.digest() },
                Err(SealedError::Io(error)) => return Err(unreachable(error)),
                Err(error) => error.into(),
            };
            // What was kept may be damaged. What has just arrived is not kept either.
            shared.forget_all();
            if !std::mem::take(&mut resumed) {
                return Err(error);
            }
        }
    }
}

fn unreachable(error: std::io::Error) -> ClientError {
    match error.downcast::<TransportError>() {
        Ok(error) => error.into(),
        Err(error) => SealedError::Io(error).into(),
    }
}

impl Streaming {
    /// The manifest, verified.
    #[must_use]
    pub fn manifest(&self) -> &SignedManifest {
        self.streamed.sealed.signed()
    }

    /// The trusted store that sells it.
    #[must_use]
    pub const fn server(&self) -> &Origin {
        &self.server
    }

    /// How its publisher's key stands; show [`Thumbprint::words`] of one that is not known.
    #[must_use]
    pub const fn publisher(&self) -> Standing {
        self.publisher.standing
    }

    /// The publisher's key that is believed once this is accepted: the one that signed it, or one that adopted it.
    #[must_use]
    pub fn publisher_key(&self) -> Thumbprint {
        self.publisher.key()
    }

    /// How its operations can be paid for, as the store signed it.
    #[must_use]
    pub fn offers(&self) -> &[Verified<Offer>] {
        &self.offers.known
    }

    /// Offers under terms that this version does not know.
    #[must_use]
    pub fn unknown_offers(&self) -> &[UnknownEntry] {
        &self.offers.unknown
    }

    /// Bytes of the sealed file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// To be looked at, and nothing more: what [`Runtime::load`](crate::Runtime::load) takes, with nothing remembered
    /// of its publisher. Who runs it calls [`Streaming::accept`].
    #[must_use]
    pub fn look(self) -> Source {
        self.taken_from.choose(self.manifest().digest(), &self.server);
        Source::Streamed(Box::new(self.streamed))
    }

    /// Remembers the publisher's key, as installing does, and the version, and gives what
    /// [`Runtime::load`](crate::Runtime::load) takes.
    ///
    /// # Errors
    /// [`ClientError::State`], or as [`Library::stream`] if the publisher's key changed, or a newer version was used,
    /// meanwhile.
    pub async fn accept(self) -> Result<Source, ClientError> {
        let state = &self.sessions.state;
        let _lock = state.lock().await?;
        let manifest = self.manifest().manifest();
        replacement::judge(state, &self.server, self.manifest(), self.publisher.standing, self.allow_older)?;
        let seen = VersionMarks::of(state, &self.server, &manifest.publisher.name);
        let pin = self.publisher.confirm(state)?;
        seen.remember(&manifest.name, &manifest.version, self.sessions.clocks.of(&self.server).now())?;
        pin.remember(state)?;
        Ok(self.look())
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streaming({:?} at {})", self.streamed.sealed, self.server)
    }
}
