//! Where attacks take place: a folder, a specimen and a shop that they share.

use super::shop::Shop;
use super::specimen::specimen;
use anyhow::{Context as _, Result};
use portcullis_fixtures::Fixture;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What attacks share. Made once for a run of the suite.
pub struct Arena {
    folder: TempDir,
    shop: Option<Shop>,
    specimen: Option<Fixture>,
    folders: u32,
    verifications: u32,
}

impl Arena {
    /// An arena in which a code is verified `verifications` times at once.
    ///
    /// # Errors
    /// If no folder can be made.
    pub fn new(verifications: u32) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        Ok(Self { folder, shop: None, specimen: None, folders: 0, verifications })
    }

    /// How often one code is verified at once.
    pub(super) const fn verifications(&self) -> u32 {
        self.verifications
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the arena's folder that nobody uses.
    pub(super) fn fresh_path(&mut self) -> PathBuf {
        self.folders += 1;
        self.folder.path().join(format!("place-{}", self.folders))
    }

    /// A sealed resource with its keys, for attacks on files.
    pub(super) fn specimen(&mut self) -> Result<&Fixture> {
        if self.specimen.is_none() {
            self.specimen = Some(specimen()?);
        }
        self.specimen.as_ref().context("a specimen")
    }

    /// The shop: a real server that runs, with a resource on sale.
    pub(super) async fn shop(&mut self) -> Result<&mut Shop> {
        if self.shop.is_none() {
            let folder = self.fresh_path();
            self.shop = Some(Shop::open(&folder).await?);
        }
        let shop = self.shop.as_mut().context("a shop")?;
        shop.ensure_ordinary()?;
        Ok(shop)
    }
}
