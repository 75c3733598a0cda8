//! Whether a version may come after what this terminal has used of the same resource, installed or streamed.

use crate::client_error::ClientError;
use crate::state::folder::StateDir;
use crate::store::installed::{self, Installed};
use crate::store::publisher_pin::Standing;
use crate::store::version_marks::VersionMarks;
use portcullis_protocol::{Origin, SignedManifest};

/// Judges a version that `server` sells by what was used before, and returns what is installed, in whose place it would
/// come; `standing` is that of the publisher's key. To be asked again while the state is locked, if time has passed:
/// another process may have used a newer one.
///
/// # Errors
/// [`ClientError::PublisherChanged`], [`ClientError::VersionReused`]; [`ClientError::Rollback`] unless `allow_older`.
pub(crate) fn judge(
    state: &StateDir,
    server: &Origin,
    signed: &SignedManifest,
    standing: Standing,
    allow_older: bool,
) -> Result<Option<Installed>, ClientError> {
    let manifest = signed.manifest();
    let (publisher, name) = (&manifest.publisher.name, &manifest.name);
    let installed = installed::read(state, publisher.as_str(), name.as_str())?;
    if let Some(installed) = &installed {
        may_replace(installed, signed, server, allow_older)?;
    }
    // Of a key that the user has given up, no version counts.
    if !allow_older && standing != Standing::Accepted {
        VersionMarks::of(state, server, publisher).check(name, &manifest.version)?;
    }
    Ok(installed)
}

/// Whether a resource may take the place of the installed one of its name.
fn may_replace(
    installed: &Installed,
    signed: &SignedManifest,
    server: &Origin,
    allow_older: bool,
) -> Result<(), ClientError> {
    let manifest = signed.manifest();
    let found = manifest.publisher.jwk.thumbprint();
    let (publisher, name) = (manifest.publisher.name.clone(), manifest.name.clone());
    if installed.publisher_key != found && installed.server != *server {
        return Err(ClientError::PublisherChanged { publisher, pinned: installed.publisher_key, found });
    }
    let offered = manifest.version.clone();
    if installed.version == offered && installed.digest != signed.digest() {
        return Err(ClientError::VersionReused { publisher, name, version: offered });
    }
    if !allow_older && installed.version.is_newer_than(&offered) {
        let resource = format!("{publisher}/{name}");
        return Err(ClientError::Rollback { resource, installed: installed.version.clone(), offered });
    }
    Ok(())
}
