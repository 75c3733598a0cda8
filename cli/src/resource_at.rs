//! From what the command line names to a sealed file on this machine, or to one that is streamed from its store.

use portcullis_host::{Client, ClientError, InstallSource, Installed, Source, Standing};
use portcullis_protocol::Reason;
use portcullis_protocol::sealed::Sealed;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{size, style};
use crate::progress::moved;
use crate::target::{Name, Target};

/// The file of an installed resource, or the file named.
pub(crate) fn file(client: &Client, target: &Target) -> Outcome<PathBuf> {
    match target {
        Target::File(path) => Ok(path.clone()),
        Target::Name(name) => Ok(installed(client, name)?.path),
        Target::Url(url) => {
            Err(Failure::usage(format!("{url} is not on this machine"), format!("portcullis install {url}")))
        }
    }
}

/// What is installed, the file named, or, where it is not installed, the resource at its store: streamed, or with
/// `install` fetched whole first. Says which on standard error.
pub(crate) async fn source(context: &Context, client: &Client, target: &Target, install: bool) -> Outcome<Source> {
    let Some(at_a_store) = only_at_a_store(client, target) else { return Ok(file(client, target)?.into()) };
    let screen = context.screen;
    if install {
        let bar = screen.bar(target, None);
        let installed = client.library().install(&at_a_store, &moved(&bar)).await;
        bar.finish_and_clear();
        let installed = installed.map_err(advise)?;
        let dim = style::DIM;
        screen.note(format_args!("{dim}installed {target} from {}{dim:#}", installed.server));
        return Ok(installed.path.into());
    }
    let streaming = client.library().stream(&at_a_store, false).await.map_err(advise)?;
    let (dim, warn) = (style::DIM, style::WARN);
    let (server, bytes) = (streaming.server(), size(streaming.bytes()));
    screen.note(format_args!(
        "{dim}{target} is not installed: streaming it from {server} ({bytes} in all); --install keeps it{dim:#}"
    ));
    if streaming.publisher() == Standing::New {
        let words = streaming.manifest().manifest().publisher.jwk.thumbprint().words();
        screen.note(format_args!("publisher key {words}  {warn}new: pinned from now on{warn:#}"));
    }
    Ok(streaming.accept().await?)
}

/// As [`source`], to be looked at: of what is not installed the public part alone is fetched, and nothing is remembered of
/// its publisher.
pub(crate) async fn look(context: &Context, client: &Client, target: &Target) -> Outcome<Source> {
    let Some(at_a_store) = only_at_a_store(client, target) else { return Ok(file(client, target)?.into()) };
    let streaming = client.library().stream(&at_a_store, false).await.map_err(advise)?;
    let (dim, server) = (style::DIM, streaming.server());
    context.screen.note(format_args!("{dim}{target} is not installed: this is what {server} has{dim:#}"));
    Ok(streaming.look())
}

/// Where to find a resource that has a publisher's name and is not installed.
fn only_at_a_store(client: &Client, target: &Target) -> Option<InstallSource> {
    let Target::Name(Name { publisher: Some(publisher), name, version }) = target else { return None };
    let path = Name { publisher: Some(publisher.clone()), name: name.clone(), version: None }.path();
    matches!(client.library().find(&path), Err(ClientError::NotFound(_))).then(|| InstallSource::Store {
        server: None,
        publisher: publisher.clone(),
        name: name.clone(),
        version: version.clone(),
    })
}

fn advise(error: ClientError) -> Failure {
    let failure = Failure::from(error);
    match failure.reason() {
        Some(Reason::ServerUntrusted) => failure.with_fix("sign in to the store that sells it: `portcullis login URL`"),
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

/// Why a sealed file is of no use here: no store has countersigned it, or only stores that this terminal does not trust.
/// `None` if it cannot be read.
pub(crate) fn without_a_store(path: &Path) -> Option<Failure> {
    let sealed = open(path).ok()?;
    let signed = sealed.signed();
    let manifest = signed.manifest();
    let by: Vec<&str> = signed.countersignatures().iter().map(|by| by.iss.as_str()).collect();
    let (name, file) = (format!("{}/{}", manifest.publisher.name, manifest.name), path.display());
    Some(if by.is_empty() {
        Failure::new(
            format!("no store has countersigned `{file}`: it is as it was sealed"),
            format!(
                "publish it first, `portcullis publish {file}`; then install the store's copy: `portcullis install {name}`"
            ),
        )
    } else {
        Failure::refusal(Reason::ServerUntrusted, format!("it is sold by {}", by.join(", ")))
            .with_fix(format!("if you trust the store, sign in to it: `portcullis login {}`", by[0]))
    })
}

/// Opens a sealed file: signatures, stub and block lists are verified.
pub(crate) fn open(path: &Path) -> Outcome<Sealed<File>> {
    let file = File::open(path).or_fail(
        format_args!("open `{}`", path.display()),
        "check the path; write publisher/name for what is installed",
    )?;
    Ok(Sealed::open(file)?)
}
