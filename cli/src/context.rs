//! What every verb has at hand: the screen, the home folder, the signed-in servers.

use std::path::{Path, PathBuf};

use crate::output::Screen;

/// Handed to every verb.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where reports go.
    pub(crate) screen: Screen,
    home: PathBuf,
}

impl Context {
    /// `home` holds keys, pins and installed resources.
    pub(crate) const fn new(screen: Screen, home: PathBuf) -> Self {
        Self { screen, home }
    }

    /// The home folder. It may not exist yet.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}
