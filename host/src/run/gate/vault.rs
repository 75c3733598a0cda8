//! `portcullis:gate/vault`: asset parts, read by range under a grant, each block authenticated before a byte is given.

use super::{GateCtx, GateView, GrantHandle, PartHandle, VaultFailure, shown};
use crate::ports::progress::{PartRefusal, Step};
use crate::run::active_grant::ActiveGrant;
use crate::run::bindings::vault::{self, VaultError};
use portcullis_protocol::{PartKind, PartName};
use std::sync::Arc;
use wasmtime::component::Resource;

/// The most that one read gives, as `wit/vault.wit` promises: one block of the sealed format.
const MAX_READ: u32 = 1024 * 1024;

impl vault::Host for GateView<'_> {
    async fn open(&mut self, grant: Resource<GrantHandle>, name: String) -> Result<Resource<PartHandle>, VaultFailure> {
        let part = shown(&name);
        let opened = self.open_part(grant, name).await;
        if let Err(VaultFailure::Refused(error)) = &opened {
            let cause = match error {
                VaultError::NoSuchPart => PartRefusal::NoSuchPart,
                VaultError::NotGranted => PartRefusal::NotGranted,
                VaultError::Expired => PartRefusal::Expired,
                VaultError::Damaged => PartRefusal::Damaged,
            };
            self.ctx.step(Step::PartRefused { part: &part, cause });
        }
        opened
    }

    fn convert_vault_error(&mut self, no: VaultFailure) -> wasmtime::Result<VaultError> {
        match no {
            VaultFailure::Refused(error) => Ok(error),
            VaultFailure::Trap(error) => Err(error),
        }
    }
}

impl GateView<'_> {
    async fn open_part(
        &mut self,
        grant: Resource<GrantHandle>,
        name: String,
    ) -> Result<Resource<PartHandle>, VaultFailure> {
        let held = Arc::clone(&self.table.get(&grant)?.0);
        let name = PartName::new(name).map_err(|_| VaultError::NoSuchPart)?;
        let part = self.ctx.contents.signed.manifest().part(&name).ok_or(VaultError::NoSuchPart)?;
        // A code part runs under a grant of its own; its bytes are for the engine alone.
        let key = held.key(&name).filter(|_| part.kind == PartKind::Asset).ok_or(VaultError::NotGranted)?;
        Self::in_force(self.ctx, &held).await?;
        let opened = self.ctx.contents.open_part(&name, key, &self.ctx.ahead).await;
        let reader = opened.map_err(|_| VaultError::Damaged)?;
        Ok(self.table.push(PartHandle { held: Arc::downgrade(&held), reader })?)
    }

    /// Parts are opened and read under a grant that is in force.
    async fn in_force(ctx: &mut GateCtx, held: &Arc<ActiveGrant>) -> Result<(), VaultError> {
        // The entry grant is good for the whole of a call that began in time; the call's own deadline bounds it.
        if Arc::ptr_eq(held, &ctx.entry) {
            return Ok(());
        }
        ctx.ensure(held).await.map_err(|_| VaultError::Expired)
    }
}

impl vault::HostPart for GateView<'_> {
    fn size(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&part)?.reader.size())
    }

    async fn read(&mut self, part: Resource<PartHandle>, offset: u64, length: u32) -> Result<Vec<u8>, VaultFailure> {
        let part = self.table.get_mut(&part)?;
        let held = part.held.upgrade().ok_or(VaultError::Expired)?;
        Self::in_force(self.ctx, &held).await?;
        Ok(part.reader.read_at(offset, length.min(MAX_READ)).await.map_err(|_| VaultError::Damaged)?)
    }

    fn drop(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<()> {
        self.table.delete(part)?;
        Ok(())
    }
}
