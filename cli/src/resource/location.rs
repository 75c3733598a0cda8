//! From what the command line names to a sealed file on this machine, or to one that is streamed from its store.

use portcullis_host::{Client, ClientError, Error, InstallSource, Installed, Listing, Source};
use portcullis_protocol::sealed::{Defect, Sealed, SealedError};
use portcullis_protocol::{Origin, PublisherName, Reason, ResourceName, SignedManifest, Version};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resource::publisher_key::PublisherKey;
use crate::resource::standing::{self, AtStore};
use crate::resource::target::{Name, Target};
use crate::screen::output::{size, style};
use crate::screen::progress::moved;
use crate::screen::shell::quoted;

/// Versions that are named to whoever asked for one that there is not: the newest.
const MOST_VERSIONS: usize = 10;

/// The file of an installed resource, or the file named. For a file no terminal is needed.
pub(crate) fn file(client: Option<&Client>, target: &Target) -> Outcome<PathBuf> {
    match target {
        Target::File(path) => Ok(path.clone()),
        Target::Name(name) => match client {
            Some(client) => Ok(installed(client, name)?.path),
            None => Err(Failure::new(format!("no resource `{name}` is installed"), "name a sealed file")),
        },
        Target::Url(url) => {
            Err(Failure::usage(format!("{url} is not on this machine"), format!("portcullis install {}", quoted(url))))
        }
    }
}

/// What is installed, the file named, or, if it is not installed, or not from the store that is named, the resource at
/// its store: streamed, or with `install` fetched whole first. Says which on standard error.
pub(crate) async fn source(
    context: &Context,
    client: &Client,
    target: &Target,
    server: Option<&Origin>,
    install: bool,
) -> Outcome<Source> {
    let Some(at_a_store) = only_at_a_store(client, target, server) else {
        return match file(Some(client), target) {
            Ok(path) => Ok(path.into()),
            Err(failure) => Err(another_version(client, target, failure).await),
        };
    };
    let screen = context.screen;
    if install {
        let bar = screen.bar(target, None);
        let prepared = client.library().prepare(&at_a_store, false, &moved(&bar)).await;
        bar.finish_and_clear();
        let candidate = match prepared {
            Ok(candidate) => candidate,
            Err(error) => return Err(not_there(client, &at_a_store, error).await),
        };
        let key = PublisherKey::of(candidate.publisher_key(), candidate.publisher());
        let installed = candidate.install().await?;
        let dim = style::DIM;
        screen.note(format_args!("{dim}installed {target} from {}{dim:#}", installed.server));
        key.note(screen);
        return Ok(installed.path.into());
    }
    let streaming = match client.library().stream(&at_a_store, false).await {
        Ok(streaming) => streaming,
        Err(error) => return Err(not_there(client, &at_a_store, error).await),
    };
    let dim = style::DIM;
    let (server, bytes) = (streaming.server(), size(streaming.bytes()));
    screen.note(format_args!(
        "{dim}{target} is not installed: streaming it from {server} ({bytes} in all); --install keeps it{dim:#}"
    ));
    PublisherKey::of(streaming.publisher_key(), streaming.publisher()).note(screen);
    Ok(streaming.accept().await?)
}

/// Judges a file that was named and loaded, before anything is asked of a store for it.
pub(crate) async fn judge(client: &Client, signed: &SignedManifest) -> Outcome {
    let Err(error) = client.library().judge_file(signed).await else { return Ok(()) };
    let is_older = matches!(error, ClientError::Rollback { .. });
    let (failure, manifest) = (Failure::from(error), signed.manifest());
    if !is_older {
        return Err(failure);
    }
    let name = format!("{}/{}@{}", manifest.publisher.name, manifest.name, manifest.version);
    Err(failure.with_fix(format!("install that version, and run it then: `portcullis install {name}`")))
}

/// As [`source`], to be looked at: of what is not installed the public part alone is fetched, and nothing is
/// remembered of its publisher.
pub(crate) async fn look(
    context: &Context,
    client: Option<&Client>,
    target: &Target,
    server: Option<&Origin>,
) -> Outcome<Source> {
    let at_a_store = client.and_then(|client| Some((client, only_at_a_store(client, target, server)?)));
    let Some((client, at_a_store)) = at_a_store else {
        return match (file(client, target), client) {
            (Err(failure), Some(client)) => Err(another_version(client, target, failure).await),
            (found, _) => Ok(found?.into()),
        };
    };
    let streaming = match client.library().stream(&at_a_store, false).await {
        Ok(streaming) => streaming,
        Err(error) => return Err(not_there(client, &at_a_store, error).await),
    };
    let (dim, server) = (style::DIM, streaming.server());
    context.screen.note(format_args!("{dim}{target} is not installed: this is what {server} has{dim:#}"));
    Ok(streaming.look())
}

/// Where to find a resource that has a publisher's name and is not installed, or came from another store than the one
/// that is named.
fn only_at_a_store(client: &Client, target: &Target, server: Option<&Origin>) -> Option<InstallSource> {
    let Target::Name(Name { publisher, name, version }) = target else { return None };
    let publisher = match (client.library().find(&target_path(publisher.as_ref(), name)), server) {
        (Ok(installed), Some(server)) if installed.server != *server => installed.publisher,
        (Err(ClientError::NotFound(_)), _) => publisher.clone()?,
        _ => return None,
    };
    Some(InstallSource::Store { server: server.cloned(), publisher, name: name.clone(), version: version.clone() })
}

fn target_path(publisher: Option<&PublisherName>, name: &ResourceName) -> String {
    Name { publisher: publisher.cloned(), name: name.clone(), version: None }.path()
}

/// Why a store does not give a resource out. One whose versions were all withdrawn is not sold, and not unknown; nor is
/// one that has other versions.
pub(crate) async fn not_there(client: &Client, source: &InstallSource, error: ClientError) -> Failure {
    let is_withdrawn = matches!(&error, ClientError::Refused(refused) if refused.reason == Reason::ResourceWithdrawn);
    let InstallSource::Store { server, publisher, name, version } = source else { return advise(error) };
    if (is_withdrawn || matches!(error, ClientError::NotFound(_)))
        && let Ok(server) = server.clone().map_or_else(|| client.default_server(), Ok)
        && let Ok(listing) = client.store(&server).entry(publisher, name).await
        && !listing.versions.is_empty()
    {
        let Some(newest) = listing.newest() else {
            return all_withdrawn(&listing);
        };
        if is_withdrawn {
            return advise(error).with_fix(standing::instead(publisher, name, Some(&newest.version)));
        }
        if let Some(version) = version.as_ref().filter(|version| listing.version(version).is_none()) {
            return no_such_version(&listing, version);
        }
    }
    advise(error)
}

/// The store sells no version of the resource any more.
fn all_withdrawn(listing: &Listing) -> Failure {
    let Listing { server, publisher, name, .. } = listing;
    let what = format!("every version of {publisher}/{name} was withdrawn at {server}");
    Failure::refusal(Reason::ResourceWithdrawn, what).with_fix(standing::instead(publisher, name, None))
}

/// The store has the resource, and not this version of it.
fn no_such_version(listing: &Listing, version: &Version) -> Failure {
    let Listing { server, publisher, name, versions, .. } = listing;
    let on_sale = versions.iter().filter(|entry| !entry.withdrawn).map(|entry| entry.version.to_string());
    let newest: Vec<String> = on_sale.take(MOST_VERSIONS).collect();
    Failure::new(
        format!("{server} does not have {publisher}/{name}@{version}"),
        format!("name one of the versions that are sold: {}", newest.join(", ")),
    )
}

/// Why what is installed is not what was named. If it is the version, the store may not have that one either.
async fn another_version(client: &Client, target: &Target, failure: Failure) -> Failure {
    if let Target::Name(name @ Name { version: Some(version), .. }) = target
        && let Ok(installed) = client.library().find(&name.path())
        && let Ok(listing) = client.store(&installed.server).entry(&installed.publisher, &installed.name).await
        && listing.version(version).is_none()
        && !listing.versions.is_empty()
    {
        return match listing.newest() {
            Some(_) => no_such_version(&listing, version),
            None => all_withdrawn(&listing),
        };
    }
    failure
}

/// What to do about an error of the library, of what was named and is a store's.
pub(crate) fn advise(error: ClientError) -> Failure {
    let failure = Failure::from(error);
    match failure.reason() {
        Some(Reason::ServerUntrusted) => failure.with_fix("sign in to the store that sells it: `portcullis login URL`"),
        // Of no store in particular.
        Some(Reason::NotSignedIn) if failure.fix() == Reason::NotSignedIn.advice() => {
            failure.in_detail().with_fix("sign in to the store that sells it: `portcullis login URL`")
        }
        _ => failure,
    }
}

/// An installed resource, of the version named.
pub(crate) fn installed(client: &Client, name: &Name) -> Outcome<Installed> {
    let hint = |name: &Name| match name.publisher {
        Some(_) => format!("portcullis install {name}"),
        None => format!("`portcullis list` shows what is installed; `portcullis search {}` finds it", name.name),
    };
    let found = client.library().find(&name.path()).map_err(|error| {
        let failure = Failure::from(error);
        if failure.to_string().starts_with("not found") { failure.with_fix(hint(name)) } else { failure }
    })?;
    match &name.version {
        Some(version) if *version != found.version => Err(Failure::new(
            format!("{}/{} {} is installed, not {version}", found.publisher, found.name, found.version),
            format!("portcullis install {}/{}@{version}", found.publisher, found.name),
        )),
        _ => Ok(found),
    }
}

/// Why a sealed file is of no use here: no store has countersigned it, only another copy of it, or only stores that
/// this terminal does not trust. `None` if it cannot be read.
pub(crate) async fn without_a_store(client: &Client, path: &Path) -> Option<Failure> {
    let sealed = open(path).ok()?;
    let signed = sealed.signed();
    if let Some((what, fix)) = standing::published(signed, &AtStore::ask_all(client, signed).await) {
        return Some(Failure::new(what, fix));
    }
    let manifest = signed.manifest();
    let by: Vec<&str> = signed.countersignatures().iter().map(|by| by.iss.as_str()).collect();
    let (name, file) = (format!("{}/{}", manifest.publisher.name, manifest.name), path.display());
    Some(if by.is_empty() {
        Failure::new(
            format!("no store has countersigned `{file}`: it is as it was sealed"),
            format!(
                "publish it first, `portcullis publish {}`; then install the store's copy: `portcullis install {name}`",
                quoted(file)
            ),
        )
    } else {
        Failure::refusal(Reason::ServerUntrusted, format!("it is sold by {}", by.join(", ")))
            .with_fix(format!("if you trust the store, sign in to it: `portcullis login {}`", by[0]))
    })
}

/// Opens a sealed file: signatures, stub and block lists are verified.
pub(crate) fn open(path: &Path) -> Outcome<Sealed<File>> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Sealed::open(file).map_err(|error| damaged(path, error))
}

/// Why a file that somebody named cannot be read. Whoever publishes it may not have sealed it yet, or has written a
/// name.
fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let shown = path.to_string_lossy();
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    let fix = match shown.parse() {
        Ok(Target::Name(name)) if is_missing => format!(
            "name a sealed file here: `portcullis seal` writes one. `{name}` is a name: `portcullis inspect {name}` takes \
             it, and `portcullis list --json` says in which file it is installed"
        ),
        _ if is_missing => "check the path; if it is not sealed yet, `portcullis seal` writes it".to_owned(),
        _ => "check the path and that you may read it".to_owned(),
    };
    Failure::new(format!("cannot open `{shown}`: {error}"), fix)
}

/// Why the runtime does not load what was named: of a file, in words for whoever has it before him.
pub(crate) fn not_loaded(target: &Target, error: Error) -> Failure {
    match (target, error) {
        (Target::File(path), Error::Io(error)) => unreadable(path, &error),
        (Target::File(path), Error::Sealed(error)) => damaged(path, error),
        (_, error) => error.into(),
    }
}

/// Why a file that somebody named is not installed, if it is the file itself. What the library says of it is for files
/// that it has fetched.
pub(crate) fn own_fault(path: &Path) -> Option<Failure> {
    match open(path) {
        Ok(sealed) => sealed.verify_blocks().err().map(|error| damaged(path, error)),
        Err(failure) => Some(failure),
    }
}

/// Why a file that somebody named is no sealed resource. Whoever named it may be its publisher or its buyer, and may
/// not have installed anything.
pub(crate) fn damaged(path: &Path, error: SealedError) -> Failure {
    let shown = path.display();
    let refused = |what: String| Failure::refusal(Reason::PackageInvalid, format!("`{shown}` {what}")).in_detail();
    match &error {
        SealedError::Structure { defect: Defect::NotSealed, .. } => refused("is a component that is not sealed".into())
            .with_fix(format!("{SEAL}; what a compiler built is not published as it is")),
        SealedError::Structure { defect: Defect::NotAComponent, .. } => {
            refused("is not a sealed resource: it is no WebAssembly component".into()).with_fix(SEAL)
        }
        SealedError::Io(_) | SealedError::NoSuchPart(_) => error.into(),
        _ => refused(format!("is not as its publisher signed it: {error}")).with_fix(
            "it was cut short or changed on its way: copy or fetch it again; its publisher can seal it again, \
             `portcullis seal`",
        ),
    }
}

/// What to do with what is not sealed.
const SEAL: &str = "seal its project, `portcullis seal`, and name the file that it writes";
