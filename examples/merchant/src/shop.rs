//! The folder of a shop.
//!
//! ```text
//! shop.json      which store, which root key it has, who the merchant is: nothing secret
//! merchant.jwk   the merchant's key, as `portcullis merchant keygen` writes one; only the owner reads it
//! stock.key      what the codes of the stock are sealed with; only the owner reads it
//! shop.db        the database
//! ```

use crate::database::Database;
use crate::vault::Vault;
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{MerchantName, Origin, PublicKey, SecretKey, Title, WebhookUrl};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The key that is to be the merchant's.
const NEXT: &str = "merchant.jwk.next";
/// A key file has some 160 bytes; more is another file.
const MAX_KEY_FILE: u64 = 4096;

/// Who the merchant is, and where it sells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The store.
    pub(crate) store: Origin,
    /// Its root key, whose words the merchant has compared.
    pub(crate) root: PublicKey,
    /// The merchant's name there.
    pub(crate) name: MerchantName,
    /// What buyers read.
    pub(crate) title: Title,
    /// Where the store tells the shop of orders.
    pub(crate) webhook: WebhookUrl,
}

/// A shop.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) settings: Settings,
    pub(crate) key: SecretKey,
    pub(crate) vault: Vault,
    pub(crate) database: Database,
}

impl Shop {
    /// Makes the folder of a new shop. A key that is there already is used and never overwritten.
    pub(crate) fn create(folder: &Path, settings: &Settings) -> Result<Self> {
        private_folder(folder)?;
        let file = folder.join("shop.json");
        ensure!(!file.exists(), "{} exists already: this folder has a shop in it", file.display());
        let key_file = folder.join("merchant.jwk");
        if !key_file.exists() {
            write_key(&key_file)?;
        }
        let stock_file = folder.join("stock.key");
        if !stock_file.exists() {
            let text = Zeroizing::new(Octets(crate::random::<32>()).to_string());
            write_private(&stock_file, text.as_bytes())?;
        }
        let mut text = serde_json::to_vec_pretty(settings)?;
        text.push(b'\n');
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Self::open(folder)
    }

    /// Opens a shop.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("shop.json");
        let text = fs::read(&file).with_context(|| {
            format!(
                "cannot read {}. Make a shop first: example-merchant init --dir {}",
                file.display(),
                folder.display()
            )
        })?;
        let settings = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))?;
        Ok(Self {
            settings,
            key: read_key(&folder.join("merchant.jwk"))?,
            vault: Vault::new(read_stock_key(&folder.join("stock.key"))?),
            database: Database::open(&folder.join("shop.db"))?,
        })
    }
}

/// A key that is to be the merchant's, in a file of its own until then.
pub(crate) struct NextKey {
    pub(crate) key: SecretKey,
    folder: PathBuf,
}

impl NextKey {
    /// The one that an earlier attempt has made, or a new one.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let file = folder.join(NEXT);
        if !file.exists() {
            write_key(&file)?;
        }
        Ok(Self { key: read_key(&file)?, folder: folder.to_owned() })
    }

    /// Puts it in the place of the key before it, which is kept beside it.
    pub(crate) fn put_to_use(&self, before: &SecretKey) -> Result<()> {
        let (file, next) = (self.folder.join("merchant.jwk"), self.folder.join(NEXT));
        let kept = self.folder.join(format!("merchant-{}.jwk", before.public().thumbprint()));
        if !kept.exists() {
            fs::hard_link(&file, &kept).with_context(|| format!("cannot keep the old key as {}", kept.display()))?;
        }
        fs::rename(&next, &file).with_context(|| format!("cannot put {} to use", next.display()))
    }
}

fn write_key(file: &Path) -> Result<()> {
    write_private(file, &SecretKey::generate(&mut crate::rng()).to_private_jwk())
}

fn read_key(file: &Path) -> Result<SecretKey> {
    SecretKey::from_private_jwk(&read_private(file)?).with_context(|| format!("{} is not a key", file.display()))
}

fn read_stock_key(file: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let text = read_private(file)?;
    let key = std::str::from_utf8(&text).ok().and_then(|text| Octets::<32>::parse(text.trim_end()).ok());
    Ok(Zeroizing::new(key.with_context(|| format!("{} is not a key of 32 bytes", file.display()))?.0))
}

/// Reads a file that nobody else may read.
fn read_private(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let opened = fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = opened.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!("{0} can be read by others (mode {1:03o}). Change that: chmod 600 {0}", file.display(), mode & 0o777);
        }
    }
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_KEY_FILE)?));
    opened.take(MAX_KEY_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// Writes a new file that nobody else may read.
fn write_private(file: &Path, text: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file).with_context(|| format!("cannot write {}", file.display()))?;
    opened.write_all(text)?;
    opened.write_all(b"\n")?;
    opened.sync_all().with_context(|| format!("cannot write {}", file.display()))
}

fn private_folder(folder: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// The folder of a shop, if none is named.
pub(crate) fn usual_folder() -> PathBuf {
    PathBuf::from("shop")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn settings() -> Settings {
        let root = SecretKey::from_seed(&[1; 32]).public().clone();
        Settings {
            store: "https://store.example".parse().expect("an origin"),
            root,
            name: "games".parse().expect("a name"),
            title: "The Games Shop".parse().expect("a title"),
            webhook: "https://games.example/hook".parse().expect("an address"),
        }
    }

    #[test]
    fn another_key_is_put_to_use_once_and_the_one_before_it_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("shop");
        let before = Shop::create(&place, &settings()).expect("made").key;
        let next = NextKey::of(&place).expect("a key");
        let again = NextKey::of(&place).expect("a key");
        assert_eq!(next.key.public(), again.key.public(), "an interrupted attempt goes on with its key");
        assert_eq!(Shop::open(&place).expect("opened").key.public(), before.public(), "until then it is the old one");
        next.put_to_use(&before).expect("put to use");
        assert_eq!(Shop::open(&place).expect("opened").key.public(), next.key.public());
        let kept = place.join(format!("merchant-{}.jwk", before.public().thumbprint()));
        assert_eq!(read_key(&kept).expect("a key").public(), before.public());
        assert!(NextKey::of(&place).expect("a key").key.public() != next.key.public(), "and the next one is another");
    }

    #[test]
    fn a_shop_is_made_once_and_its_keys_are_its_owners() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("shop");
        let made = Shop::create(&place, &settings()).expect("made");
        let opened = Shop::open(&place).expect("opened");
        assert_eq!(made.key.public(), opened.key.public());
        assert!(Shop::create(&place, &settings()).expect_err("once").to_string().contains("exists already"));
        #[cfg(unix)]
        for file in ["merchant.jwk", "stock.key", "shop.db"] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = place.join(file);
            assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600, "{file}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
            let refused = Shop::open(&place).map(drop);
            if file != "shop.db" {
                assert!(refused.expect_err("refused").to_string().contains("chmod 600"), "{file}");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        }
    }
}
