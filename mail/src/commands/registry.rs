//! `portcullis-mail registry`.

use super::{counted, say, signing_key};
use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use portcullis_mail::{Biller, BillerRegistry, SealedFolder};
use portcullis_protocol::PublicKey;
use portcullis_protocol::encoding::{Octets, base64url};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// The kind and name of the sealed file with the registry that is in use.
const KIND: &str = "registry";
const CURRENT: &str = "current";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a key to sign registries with, and print its public half; of one that is there already, print that
    Key {
        /// The file to write it to, or that it is in
        file: PathBuf,
    },
    /// Sign a list of billers, written in TOML, and print the registry
    Sign {
        /// The list: `[[billers]]` with `id`, `name`, `domains`, and if you like `ibans` and `currency`
        list: PathBuf,
        /// The file that `registry key` wrote
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
                let key = match signing_key::create(&file)? {
                    Some(key) => key,
                    None => {
                        let key = signing_key::read(&file)?;
                        eprintln!("{} was there already, and is kept. Its public half:", file.display());
                        key
                    }
                };
                say(&base64url(&key.public().to_bytes()))
            }
            Self::Sign { list, key } => {
                let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
                let list: List = toml::from_str(&text).with_context(|| format!("{} is not a list", list.display()))?;
                let key = signing_key::read(&key)?;
                let iat = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
                say(&BillerRegistry { iat, billers: list.billers }.sign(&key)?)
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
    let bytes: Option<Octets<32>> = text.trim().parse().ok();
    bytes.and_then(|bytes| PublicKey::from_bytes(&bytes.0).ok()).with_context(|| {
        // What was given is not repeated: it may be a secret key.
        "`--key` takes a public key, and this is none. Write what `portcullis-mail registry key FILE` prints: 43 \
         letters, digits, `-` and `_`"
    })
}
