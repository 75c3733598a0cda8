//! The key that registries are signed with, in a file: a private JSON Web Key (RFC 8037 section 2), readable by its
//! owner alone.

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_folders::private_file;
use portcullis_protocol::SecretKey;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// A key file has about 140 bytes; more is another file.
const MAX_FILE: u64 = 4096;

/// Writes a new key. Returns nothing if a file is there already: it is never touched.
pub(super) fn create(path: &Path) -> Result<Option<SecretKey>> {
    let mut file = match private_file().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        opened => opened.with_context(|| format!("cannot make `{}`", path.display()))?,
    };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).context("no random bytes")?;
    let key = SecretKey::from_seed(&seed);
    let mut text = key.to_private_jwk();
    text.push(b'\n');
    let written = file.write_all(&text).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write `{}`. Delete it, and try again", path.display()))?;
    Ok(Some(key))
}

/// Reads a key. Any 32 bytes would do as one, so the file has to say that it is one, and whose other half it is.
pub(super) fn read(path: &Path) -> Result<SecretKey> {
    let shown = path.display();
    let file = File::open(path)
        .with_context(|| format!("cannot read the key `{shown}`. To make one: portcullis-mail registry key FILE"))?;
    if is_exposed(&file) {
        bail!("other users can read the key `{shown}`. Run: chmod 600 '{shown}'")
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_FILE).read_to_end(&mut text).with_context(|| format!("cannot read the key `{shown}`"))?;
    SecretKey::from_private_jwk(&text).map_err(|_| if is_of_before(&text) { of_before(path) } else { other(path) })
}

/// Whether others than its owner can read a file. The open one is looked at: its name may stand for another by now.
fn is_exposed(file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.metadata().is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Whether it looks as keys did before they said what they are: 32 bytes in base64url. Other programs' keys do, too.
fn is_of_before(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.len() == 43 && text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

fn of_before(path: &Path) -> anyhow::Error {
    anyhow!(
        "{}. If an earlier version wrote this file: make a new key in another one, sign with that, and give its public half \
         to whoever trusts the old one",
        other(path)
    )
}

fn other(path: &Path) -> anyhow::Error {
    anyhow!(
        "`{}` is not a key to sign registries with. Name the file that `portcullis-mail registry key` wrote",
        path.display()
    )
}
