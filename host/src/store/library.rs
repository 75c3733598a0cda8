//! The resources that are installed on this terminal.

use crate::cache::CompiledCache;
use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::TransportError;
use crate::server::session::Sessions;
use crate::server::tokens::Tokens;
use crate::state::clock::Clock as _;
use crate::state::folder::{StateDir, StateError, make_private, off_thread, sync_folder};
use crate::store::candidate_file::{self, OwnFile};
use crate::store::download::{Fetch, Moved};
use crate::store::file_judge::FileJudge;
use crate::store::install_source::InstallSource;
use crate::store::installed::{self, Installed, file, record};
use crate::store::open_streams::OpenStreams;
use crate::store::publisher_pin::{self, JudgedPublisher, Pinned, Standing};
use crate::store::publishing::unreadable;
use crate::store::replacement;
use crate::store::resumable_fetch::PATIENCE;
use crate::store::storefront::{self, Listing};
use crate::store::taken_from::TakenFrom;
use crate::store::version_marks::VersionMarks;
use portcullis_protocol::paths;
use portcullis_protocol::wire::CatalogueVersion;
use portcullis_protocol::{
    Digest, Listed, Offer, Origin, PublisherName, Reason, ResourceName, SignedManifest, Thumbprint, UnknownEntry,
    Verified, Version,
};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

/// The largest file that is fetched from an address, if nobody said its length, and the largest that is streamed: four
/// full parts and some.
pub(crate) const MOST_UNKNOWN: u64 = 17 << 30;

/// A resource that was fetched and verified and may be installed. Dropping it installs nothing, and keeps what was
/// downloaded: whoever says yes later need not wait again.
pub struct Candidate {
    library: Library,
    file: OwnFile,
    manifest: SignedManifest,
    server: Origin,
    publisher: JudgedPublisher,
    replaces: Option<Version>,
    allow_older: bool,
    offers: Listed<Verified<Offer>>,
}

/// The installed resources of a terminal.
#[derive(Clone)]
pub struct Library {
    sessions: Arc<Sessions>,
    cache: CompiledCache,
    taken_from: TakenFrom,
    files: FileJudge,
    streams: OpenStreams,
}

/// A record of the library, readable or not.
#[derive(Debug)]
#[non_exhaustive]
pub struct LibraryEntry {
    /// `publisher/name`, as its folder is called.
    pub name: String,
    /// What is installed, or why its record cannot be read.
    pub installed: Result<Installed, StateError>,
}

impl Library {
    pub(crate) const fn new(
        sessions: Arc<Sessions>,
        cache: CompiledCache,
        taken_from: TakenFrom,
        files: FileJudge,
        streams: OpenStreams,
    ) -> Self {
        Self { sessions, cache, taken_from, files, streams }
    }

    /// Forgets the compiled code of what is no longer installed. What stays behind goes when room is needed.
    fn forget_code(&self, digest: &Digest) {
        if let Err(error) = self.cache.remove(digest) {
            tracing::debug!(%error, "compiled code cannot be removed");
        }
    }

    /// What is installed, by publisher and name.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn list(&self) -> Result<Vec<Installed>, StateError> {
        self.entries()?.into_iter().map(|entry| entry.installed).collect()
    }

    /// What is installed, each by `publisher/name` with its own error: one damaged record hides no other.
    ///
    /// # Errors
    /// [`StateError`] if the folder cannot be read.
    pub fn entries(&self) -> Result<Vec<LibraryEntry>, StateError> {
        let state = &self.sessions.state;
        let mut installed = Vec::new();
        for publisher in state.list("resources")? {
            for name in state.list(&format!("resources/{publisher}"))? {
                let entry = self.read(&publisher, &name).transpose();
                let name = format!("{publisher}/{name}");
                installed.extend(entry.map(|installed| LibraryEntry { name, installed }));
            }
        }
        Ok(installed)
    }

    /// Verifies the file of an installed resource: it is there, it is the one that was installed, and every signature
    /// and every byte is right.
    ///
    /// # Errors
    /// [`ClientError`]: what is wrong.
    pub async fn check(&self, installed: &Installed) -> Result<(), ClientError> {
        let path = &installed.path;
        let file = File::open(path).map_err(|error| StateError::io("read", path, &error))?;
        let found = candidate_file::verify(file).await?.digest();
        if found == installed.digest {
            Ok(())
        } else {
            Err(ClientError::OtherFile { expected: installed.digest, found })
        }
    }

    /// The installed resource called `publisher/name`, or `name` if only one publisher has one of that name.
    ///
    /// # Errors
    /// [`ClientError::NotFound`], [`ClientError::Name`] if several have one.
    pub fn find(&self, name: &str) -> Result<Installed, ClientError> {
        let (publisher, name) = name.split_once('/').map_or((None, name), |(publisher, name)| (Some(publisher), name));
        let nothing = || ClientError::NotFound(format!("no resource `{name}` is installed"));
        // What is no name is nobody's, and no path.
        let resource = ResourceName::new(name).map_err(|_| nothing())?;
        let publishers = match publisher {
            Some(publisher) => vec![PublisherName::new(publisher).map_err(|_| nothing())?.to_string()],
            None => self.sessions.state.list("resources")?,
        };
        let read = |publisher: &String| self.read(publisher, resource.as_str()).transpose();
        let mut found: Vec<_> = publishers.iter().filter_map(read).collect::<Result<_, _>>()?;
        match found.len() {
            0 => Err(nothing()),
            1 => Ok(found.swap_remove(0)),
            _ => Err(ClientError::Name(format!("several publishers have a `{name}`; say whose: publisher/{name}"))),
        }
    }

    fn read(&self, publisher: &str, name: &str) -> Result<Option<Installed>, StateError> {
        let installed = installed::read(&self.sessions.state, publisher, name)?;
        if let Some(installed) = &installed {
            self.taken_from.look_up(installed);
        }
        Ok(installed)
    }

    /// Fetches, verifies and installs: [`Library::prepare`], then [`Candidate::install`]. Whoever has a user shows him
    /// the candidate's [`Candidate::publisher_key`] in between, unless its [`Standing`] is `Known`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn install(&self, source: &InstallSource, moved: Moved<'_>) -> Result<Installed, ClientError> {
        self.prepare(source, false, moved).await?.install().await
    }

    /// Fetches and verifies a resource: form, signatures, every block of every part; a trusted store sells it; its
    /// publisher's key is the pinned one or vouched for, or has adopted what an earlier one signed; it is no older than
    /// what is installed or was streamed, unless that version was asked for by number or `allow_older` says so. What it
    /// returns can be shown before anything is installed.
    ///
    /// # Errors
    /// [`ClientError`]; then nothing has changed but what has been downloaded.
    pub async fn prepare(
        &self,
        source: &InstallSource,
        allow_older: bool,
        moved: Moved<'_>,
    ) -> Result<Candidate, ClientError> {
        self.prepare_under(source, None, allow_older, moved).await
    }

    /// As [`Library::prepare`], when the user was told the words of the publisher's key by the publisher himself,
    /// through another channel than the store: it has to be that key which the resource rests on. If another one is
    /// pinned that does not vouch for it ([`ClientError::PublisherChanged`]), [`Candidate::install`] pins the one that
    /// the user was told in its place, at every store; until then the pin stays as it is.
    ///
    /// # Errors
    /// [`ClientError::KeyNotAsTold`] if these are not the words of that key; else as [`Library::prepare`].
    pub async fn prepare_as_told(
        &self,
        source: &InstallSource,
        words: &str,
        allow_older: bool,
        moved: Moved<'_>,
    ) -> Result<Candidate, ClientError> {
        self.prepare_under(source, Some(words), allow_older, moved).await
    }

    async fn prepare_under(
        &self,
        source: &InstallSource,
        told: Option<&str>,
        allow_older: bool,
        moved: Moved<'_>,
    ) -> Result<Candidate, ClientError> {
        let state = Arc::clone(&self.sessions.state);
        make_private(&state.path(candidate_file::FOLDER))?;
        off_thread(move || candidate_file::sweep(&state)).await?;
        self.sweep().await?;
        let (state, server) = (&*self.sessions.state, &*self.sessions.server);
        match source {
            InstallSource::Store { server: at, publisher, name, version } => {
                let (listing, wanted) = self.wanted(at.as_ref(), publisher, name, version.as_ref()).await?;
                let fetch = Fetch {
                    server,
                    url: format!("{}{}", listing.server, paths::fill(paths::FILE, &[&wanted.digest])),
                    etag: Some(format!("\"{}\"", wanted.digest)),
                    size: Some(wanted.size),
                    most: wanted.size,
                    patience: PATIENCE,
                    moved,
                };
                let shared = candidate_file::shared(state, &wanted.digest.to_string());
                let (file, manifest) = fetch_verified(&fetch, &shared).await?;
                if manifest.digest() != wanted.digest {
                    file.discard();
                    return Err(ClientError::OtherFile { expected: wanted.digest, found: manifest.digest() });
                }
                let asked = allow_older || version.is_some();
                self.judge(file, manifest, Some(listing), told, asked).await
            }
            InstallSource::Url(url) => {
                let (url, patience) = (url.clone(), PATIENCE);
                let fetch = Fetch { server, url, etag: None, size: None, most: MOST_UNKNOWN, patience, moved };
                // Without an entity tag nobody can tell whether the file is still the same: it is fetched from its
                // beginning.
                let file = OwnFile::new(state).await?;
                fetch.fill(file.file()?, file.path()).await?;
                let manifest = file.verify().await?;
                self.judge(file, manifest, None, told, allow_older).await
            }
            InstallSource::File(path) => {
                // What is verified is the terminal's own copy, which nobody changes afterwards.
                let file = OwnFile::new(state).await?;
                let (from, copy) = (path.clone(), file.file()?);
                off_thread(move || copy_into(&from, copy)).await?.map_err(|error| unreadable(path, &error))?;
                let manifest = file.verify().await?;
                self.judge(file, manifest, None, told, allow_older).await
            }
        }
    }

    /// Judges a resource that a program has loaded from a file of its own, as [`Library::stream`] would judge it: the
    /// key that is believed for its publisher stands for it, and nothing newer was used here. It is judged once more
    /// when it is to be granted, and refused then; whoever asks here first learns what is wrong with it.
    ///
    /// Nothing is said of what no trusted store sells, of publishers whom this terminal has not met, and of what the
    /// library itself installed or streamed.
    ///
    /// # Errors
    /// [`ClientError::PublisherChanged`], [`ClientError::Rollback`], [`ClientError::VersionReused`],
    /// [`ClientError::State`].
    pub async fn judge_file(&self, signed: &SignedManifest) -> Result<(), ClientError> {
        // Without a store, or an account there, there is nobody to grant anything.
        let Ok(sellers) = self.sessions.trust.sellers(signed, None).await else { return Ok(()) };
        let seller = sellers.iter().find(|seller| self.sessions.of(seller).is_ok());
        match seller {
            Some(seller) => self.files.judge(signed, seller).await,
            None => Ok(()),
        }
    }

    pub(crate) const fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    pub(crate) const fn taken_from(&self) -> &TakenFrom {
        &self.taken_from
    }

    pub(crate) const fn open_streams(&self) -> &OpenStreams {
        &self.streams
    }

    /// The version that is meant, in the catalogue of the store that is meant.
    pub(crate) async fn wanted(
        &self,
        server: Option<&Origin>,
        publisher: &PublisherName,
        name: &ResourceName,
        version: Option<&Version>,
    ) -> Result<(Listing, CatalogueVersion), ClientError> {
        let listing = self.listing(server, publisher, name, version).await?;
        let (wanted, missing) = match version {
            Some(version) => (listing.version(version), format!("{publisher}/{name}@{version}")),
            None => (listing.newest(), format!("a version of {publisher}/{name} that is still sold")),
        };
        let wanted = wanted.ok_or(ClientError::NotFound(missing))?.clone();
        if wanted.withdrawn {
            return Err(Refused::new(Reason::ResourceWithdrawn).into());
        }
        check_size(&wanted)?;
        Ok((listing, wanted))
    }

    async fn judge(
        &self,
        file: OwnFile,
        manifest: SignedManifest,
        listing: Option<Listing>,
        told: Option<&str>,
        allow_older: bool,
    ) -> Result<Candidate, ClientError> {
        let judged = self.judge_manifest(&manifest, listing, told, allow_older).await;
        match judged {
            Ok((server, publisher, replaces, offers)) => {
                let library = self.clone();
                Ok(Candidate { library, file, manifest, server, publisher, replaces, allow_older, offers })
            }
            Err(error) => {
                file.discard();
                Err(error)
            }
        }
    }

    /// Whose it is, who sells it, what it replaces, and what it costs.
    pub(crate) async fn judge_manifest(
        &self,
        signed: &SignedManifest,
        listing: Option<Listing>,
        told: Option<&str>,
        allow_older: bool,
    ) -> Result<(Origin, JudgedPublisher, Option<Version>, Listed<Verified<Offer>>), ClientError> {
        let sessions = &self.sessions;
        let manifest = signed.manifest();
        let (publisher, name) = (&manifest.publisher.name, &manifest.name);
        let sellers = sessions.trust.sellers(signed, listing.as_ref().map(|listing| &listing.server)).await?;
        // From a store: that very store has to sell it.
        let server = match &listing {
            Some(listing) => sellers.into_iter().find(|origin| *origin == listing.server),
            None => sellers.into_iter().next(),
        };
        let server = server.ok_or_else(|| Refused::new(Reason::ServerUntrusted))?;
        let listing = match listing {
            Some(listing) if listing.publisher == *publisher && listing.name == *name => Some(listing),
            Some(_) => return Err(ClientError::Package("its manifest has another name than the store says".into())),
            // A file from elsewhere is installed offline too; prices and vouches are then missing.
            None => storefront::find(sessions, &server, publisher, name).await.ok().flatten(),
        };
        let said = listing.as_ref().map(Listing::of_publisher).unwrap_or_default();
        let judged = publisher_pin::judge(&sessions.state, &server, signed, said, told)?;
        let offers =
            listing.map(|Listing { offers, unknown_offers, .. }| Listed { known: offers, unknown: unknown_offers });
        let installed = replacement::judge(&sessions.state, &server, signed, judged.standing, allow_older)?;
        Ok((server, judged, installed.map(|installed| installed.version), offers.unwrap_or_default()))
    }

    /// A resource in the catalogue of the given store; else of the store that the installed one came from; else of the
    /// one trusted store, or the several that mean the same publisher by that name, that have it.
    ///
    /// Stores distrust each other, and whoever is admitted to one may call himself as somebody is called at another. So
    /// no store is taken before others unless the user names it, or it makes no difference whose bytes run.
    async fn listing(
        &self,
        server: Option<&Origin>,
        publisher: &PublisherName,
        name: &ResourceName,
        version: Option<&Version>,
    ) -> Result<Listing, ClientError> {
        let installed = self.read(publisher.as_str(), name.as_str())?.map(|installed| installed.server);
        if let Some(origin) = server.or(installed.as_ref()) {
            let found = storefront::find(&self.sessions, origin, publisher, name).await?;
            return found.ok_or_else(|| ClientError::NotFound(format!("{publisher}/{name} at {origin}")));
        }
        let mut origins: Vec<Origin> = self.sessions.trust.pins()?.into_iter().map(|pin| pin.origin).collect();
        if origins.is_empty() {
            return Err(Refused::because(Reason::NotSignedIn, "you are not signed in to any store").into());
        }
        let keys = &*self.sessions.keys;
        origins.sort_by_cached_key(|origin| (!Tokens::exist(keys, origin).unwrap_or(false), origin.clone()));
        let asked: Vec<_> =
            origins.iter().map(|origin| storefront::find(&self.sessions, origin, publisher, name)).collect();
        let (mut found, mut silent) = (Vec::new(), Vec::new());
        for (origin, answer) in origins.iter().zip(futures::future::join_all(asked).await) {
            match answer {
                Ok(listing) => found.extend(listing),
                Err(refused) => silent.push((origin, refused)),
            }
        }
        if found.is_empty() {
            let nowhere = || ClientError::NotFound(format!("{publisher}/{name} in any store that you trust"));
            return Err(silent.pop().map_or_else(nowhere, |(_, refused)| refused.into()));
        }
        let chosen = self.choose(&origins, found, version)?;
        // Whoever used this publisher's at this store before has chosen it.
        let state = &self.sessions.state;
        let is_known = publisher_pin::is_known(state, &chosen.server, publisher, &chosen.publisher_key)?;
        if let Some((origin, refused)) = silent.into_iter().next().filter(|_| !is_known) {
            return Err(ClientError::SilentStore {
                resource: format!("{publisher}/{name}"),
                found: chosen.server,
                silent: origin.clone(),
                cause: refused.to_string(),
            });
        }
        Ok(chosen)
    }

    /// Of listings under one name, the first that has the version, if all of them, and all keys that were pinned for
    /// that name before, are one publisher's: each is this listing's key, or vouches for it. That this one vouches for
    /// others says nothing; everybody can vouch for whom he likes.
    fn choose(
        &self,
        trusted: &[Origin],
        listings: Vec<Listing>,
        version: Option<&Version>,
    ) -> Result<Listing, ClientError> {
        let state = &*self.sessions.state;
        let pinned: Vec<_> = listings.first().map_or(Ok(Vec::new()), |first| {
            let pins = trusted.iter().map(|store| publisher_pin::at(state, store, &first.publisher));
            pins.filter_map(Result::transpose).collect::<Result<_, _>>()
        })?;
        let vouches: Vec<&[String]> = listings.iter().map(|listing| listing.vouches.as_slice()).collect();
        let is_everyones = |listing: &Listing| {
            let leads = |from: &Pinned| {
                let by = |vouches: &&[String]| from.leads_to(&listing.publisher_key, &listing.publisher, vouches);
                vouches.iter().any(by)
            };
            listings.iter().all(|other| leads(&Pinned::first(&other.publisher_key)))
                && pinned.iter().filter(|(store, _)| *store != listing.server).all(|(_, pin)| leads(pin))
        };
        let has_it = |listing: &Listing| match version {
            Some(version) => listing.version(version).is_some(),
            None => listing.newest().is_some(),
        };
        let mut fitting = (0..listings.len()).filter(|at| is_everyones(&listings[*at])).peekable();
        let first = fitting.peek().copied();
        if let Some(chosen) = fitting.find(|at| has_it(&listings[*at])).or(first) {
            return listings.into_iter().nth(chosen).ok_or_else(|| ClientError::NotFound("a listing".into()));
        }
        let publisher = listings[0].publisher.clone();
        let listed = listings.iter().map(|listing| (listing.server.clone(), listing.publisher_key.thumbprint()));
        let mut stores: Vec<_> = listed.collect();
        for (store, pin) in pinned {
            if !stores.iter().any(|known| *known == (store.clone(), pin.thumbprint())) {
                stores.push((store, pin.thumbprint()));
            }
        }
        Err(ClientError::SeveralPublishers { publisher, stores })
    }

    /// The newer version of an installed resource that its store sells, if there is one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn newer(&self, installed: &Installed) -> Result<Option<Version>, ClientError> {
        let listing = self.listing(Some(&installed.server), &installed.publisher, &installed.name, None).await?;
        Ok(listing
            .newest()
            .map(|newest| newest.version.clone())
            .filter(|version| version.is_newer_than(&installed.version)))
    }

    /// Installs the newest version of an installed resource; `None` if it is the newest: [`Library::prepare_update`],
    /// then [`Candidate::install`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update(&self, installed: &Installed, moved: Moved<'_>) -> Result<Option<Installed>, ClientError> {
        match self.prepare_update(installed, moved).await? {
            Some(candidate) => candidate.install().await.map(Some),
            None => Ok(None),
        }
    }

    /// Fetches and verifies the newest version of an installed resource, as [`Library::prepare`] does; `None` if it is
    /// the newest.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn prepare_update(
        &self,
        installed: &Installed,
        moved: Moved<'_>,
    ) -> Result<Option<Candidate>, ClientError> {
        if self.newer(installed).await?.is_none() {
            return Ok(None);
        }
        let source = InstallSource::Store {
            server: Some(installed.server.clone()),
            publisher: installed.publisher.clone(),
            name: installed.name.clone(),
            version: None,
        };
        self.prepare(&source, false, moved).await.map(Some)
    }

    /// Removes an installed resource, and its compiled code. What was bought stays bought.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn remove(&self, installed: &Installed) -> Result<(), StateError> {
        let state = &self.sessions.state;
        let _lock = state.lock().await?;
        let (publisher, name) = (installed.publisher.as_str(), installed.name.as_str());
        state.remove(&record(publisher, name))?;
        self.forget_code(&installed.digest);
        clear(state, publisher, name, None)
    }

    /// Removes what installing and removing left behind when they were killed: files that no record names.
    async fn sweep(&self) -> Result<(), ClientError> {
        let state = &self.sessions.state;
        let _lock = state.lock().await?;
        for publisher in state.list("resources")? {
            for name in state.list(&format!("resources/{publisher}"))? {
                // A record that cannot be read may name any of them.
                if let Ok(installed) = self.read(&publisher, &name) {
                    clear(state, &publisher, &name, installed.map(|installed| installed.digest).as_ref())?;
                }
            }
        }
        Ok(())
    }
}

impl Candidate {
    /// The manifest, verified.
    #[must_use]
    pub const fn manifest(&self) -> &SignedManifest {
        &self.manifest
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

    /// The publisher's key that is believed from its installation on: the one that signed it, or one that adopted it.
    #[must_use]
    pub fn publisher_key(&self) -> Thumbprint {
        self.publisher.key()
    }

    /// The version that is installed now, if there is one.
    #[must_use]
    pub const fn replaces(&self) -> Option<&Version> {
        self.replaces.as_ref()
    }

    /// How its operations can be paid for, as the store signed it. Empty also if the store could not be asked.
    #[must_use]
    pub fn offers(&self) -> &[Verified<Offer>] {
        &self.offers.known
    }

    /// Offers under terms that this version does not know.
    #[must_use]
    pub fn unknown_offers(&self) -> &[UnknownEntry] {
        &self.offers.unknown
    }

    /// Installs it, in place of the version before.
    ///
    /// # Errors
    /// [`ClientError::State`], or as [`Library::prepare`] if another version was used, or the publisher's key changed,
    /// meanwhile; then the version before is still there.
    pub async fn install(mut self) -> Result<Installed, ClientError> {
        let library = self.library.clone();
        let (sessions, state) = (&library.sessions, &library.sessions.state);
        let _lock = state.lock().await?;
        let manifest = self.manifest.manifest();
        let (publisher, name) = (manifest.publisher.name.as_str(), manifest.name.as_str());
        // Time has passed since it was judged: fetching is slow, and a user may think before saying yes.
        let before =
            replacement::judge(state, &self.server, &self.manifest, self.publisher.standing, self.allow_older)?;
        let pin = self.publisher.confirm(state)?;
        let digest = self.manifest.digest();
        let path = state.path(&file(publisher, name, &digest));
        let folder = state.path(&format!("resources/{publisher}/{name}"));
        make_private(&folder)?;
        let placed = self.file.place(&path).and_then(|()| sync_folder(&folder));
        placed.map_err(|error| StateError::io("write", &path, &error))?;
        let installed = Installed {
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest,
            kind: manifest.kind.clone(),
            title: manifest.title.clone(),
            server: self.server.clone(),
            publisher_key: manifest.publisher.jwk.thumbprint(),
            at: sessions.clocks.of(&self.server).now(),
            path,
        };
        let record = record(publisher, name);
        let bytes = serde_json::to_vec(&installed).map_err(|_| StateError::damaged(&state.path(&record)))?;
        // The record comes last. A process that is killed before leaves a key and a version that are remembered without
        // an installation; the other way round, the next update could come from anybody.
        let seen = VersionMarks::of(state, &installed.server, &installed.publisher);
        seen.choose(&installed.name, &installed.version, installed.at)?;
        pin.remember(state)?;
        state.write(&record, &bytes)?;
        library.taken_from.choose(digest, &self.server);
        // Whoever runs the old version has it open and goes on.
        clear(state, publisher, name, Some(&digest))?;
        if let Some(before) = before.filter(|before| before.digest != digest) {
            library.forget_code(&before.digest);
        }
        Ok(installed)
    }
}

/// Removes from a resource's folder the sealed files that are not the installed one, and the folder if nothing is left.
/// The state is locked meanwhile.
fn clear(state: &StateDir, publisher: &str, name: &str, installed: Option<&Digest>) -> Result<(), StateError> {
    let folder = format!("resources/{publisher}/{name}");
    let own = installed.map(|digest| format!("{digest}.wasm"));
    for entry in state.list(&folder)? {
        if entry.ends_with(".wasm") && Some(&entry) != own.as_ref() {
            state.remove(&format!("{folder}/{entry}"))?;
        }
    }
    if installed.is_none() && state.list(&folder)?.is_empty() {
        state.remove(&folder)?;
    }
    Ok(())
}

/// No store is asked for a file that cannot be a resource: its length is the store's word, and would fill the disk.
pub(crate) const fn check_size(version: &CatalogueVersion) -> Result<(), TransportError> {
    if version.size > MOST_UNKNOWN { Err(TransportError::TooLong) } else { Ok(()) }
}

/// Fetches and verifies. A file of which a part was there before and that is not valid is fetched once more as a
/// whole: its parts may not have belonged together.
async fn fetch_verified(fetch: &Fetch<'_>, shared: &Path) -> Result<(OwnFile, SignedManifest), ClientError> {
    loop {
        let fetched = fetch.to(shared).await?;
        let resumed = fetched.resumed;
        let file = OwnFile::of(fetched)?;
        match file.verify().await {
            Ok(manifest) => return Ok((file, manifest)),
            Err(error) => {
                file.discard();
                if !resumed {
                    return Err(error);
                }
            }
        }
    }
}

/// Copies a file. What is none has no end, perhaps, and is not even opened: a pipe would be waited for.
fn copy_into(from: &Path, mut copy: File) -> io::Result<()> {
    let is_file = |data: std::fs::Metadata| match data.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    };
    std::fs::metadata(from).and_then(is_file)?;
    let file = File::open(from)?;
    file.metadata().and_then(is_file)?;
    if io::copy(&mut file.take(MOST_UNKNOWN + 1), &mut copy)? > MOST_UNKNOWN {
        return Err(io::Error::other("it is longer than any sealed resource"));
    }
    copy.sync_all()
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidate({:?})", self.manifest)
    }
}
