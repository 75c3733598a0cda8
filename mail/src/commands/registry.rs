//! `portcullis-mail registry`.

use super::{counted, say};
use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use portcullis_mail::{Biller, BillerRegistry, SealedFolder};
use portcullis_protocol::encoding::{base64url, from_base64url};
use portcullis_protocol::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The kind and name of the sealed file with the registry that is in use.
const KIND: &str = "registry";
const CURRENT: &str = "current";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a key to sign registries with, and print its public half
    Key {
        /// The file to write it to, which must not exist
        file: PathBuf,
    },
    /// Sign a list of billers, written in TOML, and print the registry
    Sign {
        /// The list: `[[billers]]` with `id`, `name`, `domains`, and if you like `ibans` and `currency`
        list: PathBuf,
        /// The key file
        #[arg(long)]
        key: PathBuf,
    },
    /// Trust the billers of a registry from now on
    Use {
        /// The registry
        file: PathBuf,
        /// The public key of who publishes it, from a source that you trust
        // One in sixty-four begins with a hyphen.
        #[arg(long, allow_hyphen_values = true)]
        key: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    billers: Vec<Biller>,
}

#[derive(Serialize, Deserialize)]
struct InUse {
    key: String,
    registry: String,
}

impl Verb {
    pub(crate) fn run(self, open: impl FnOnce() -> Result<SealedFolder>) -> Result<()> {
        match self {
            Self::Key { file } => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *seed).context("no random bytes")?;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut made = options.open(&file).with_context(|| format!("cannot make {}", file.display()))?;
                let text = Zeroizing::new(base64url(&*seed));
                made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).context("cannot write the key")?;
                say(&base64url(&SecretKey::from_seed(&seed).public().to_bytes()))
            }
            Self::Sign { list, key } => {
                let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
                let list: List = toml::from_str(&text).with_context(|| format!("{} is not a list", list.display()))?;
                let seed =
                    Zeroizing::new(fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?);
                let seed = Zeroizing::new(from_base64url(seed.trim()).context("the key file is damaged")?);
                let seed: &[u8; 32] = seed.as_slice().try_into().context("the key file is damaged")?;
                let iat = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
                say(&BillerRegistry { iat, billers: list.billers }.sign(&SecretKey::from_seed(seed))?)
            }
            Self::Use { file, key } => {
                let registry = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                let opened = BillerRegistry::open(&registry, &public_key(&key)?)?;
                let folder = open()?;
                let _lock = folder.lock()?;
                if let Some(before) = in_use(&folder)?.filter(|before| before.key == key) {
                    let before = BillerRegistry::open(&before.registry, &public_key(&key)?)?;
                    ensure!(before.iat <= opened.iat, "a newer registry of this publisher is in use already");
                }
                let count = opened.billers.len();
                let stored = serde_json::to_vec(&InUse { key, registry })?;
                folder.write(KIND, CURRENT, &stored)?;
                say(&format!("{} known", counted(count, "biller")))
            }
        }
    }
}

/// The registry that is in use; an empty one if none is.
pub(super) fn current(folder: &SealedFolder) -> Result<BillerRegistry> {
    match in_use(folder)? {
        Some(stored) => Ok(BillerRegistry::open(&stored.registry, &public_key(&stored.key)?)?),
        None => Ok(BillerRegistry { iat: 0, billers: Vec::new() }),
    }
}

fn in_use(folder: &SealedFolder) -> Result<Option<InUse>> {
    let stored = folder.read(KIND, CURRENT)?;
    stored
        .map(|stored| serde_json::from_slice(&stored).context("the registry in use cannot be read; use one again"))
        .transpose()
}

fn public_key(text: &str) -> Result<PublicKey> {
    let bytes = from_base64url(text.trim()).context("the key is not one that `registry key` prints")?;
    let bytes: &[u8; 32] = bytes.as_slice().try_into().context("the key is not one that `registry key` prints")?;
    PublicKey::from_bytes(bytes).context("the key is not one that `registry key` prints")
}
