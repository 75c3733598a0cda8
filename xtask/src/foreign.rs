//! Sets up the tools of others that tests compare with. To be written.

use anyhow::Result;

use crate::Workspace;

/// Installs what is missing.
pub(crate) fn set_up(_workspace: &Workspace) -> Result<()> {
    Ok(())
}
