//! What was read and verified of a sealed resource.

use crate::error::Error;
use crate::run::function::Function;
use crate::run::limits::Limits;
use crate::run::part::Part;
use crate::run::source::File;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::sealed::{Sealed, SealedError};
use portcullis_protocol::surface::{Surface, SurfaceError, check_import};
use portcullis_protocol::{PartEntry, PartName, SignedManifest};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// What was read and verified of a sealed resource. Parts are read from the same open file, block by block.
pub(crate) struct Contents {
    pub(crate) sealed: Sealed<File>,
    pub(crate) signed: Arc<SignedManifest>,
    /// The bounds that hold: the operator's and the publisher's.
    pub(crate) limits: Limits,
    /// What the stub says of the exports, read when it is asked for.
    functions: OnceLock<Result<Vec<Function>, SurfaceError>>,
}

impl Contents {
    pub(crate) fn new(sealed: Sealed<File>, operator: &Limits) -> Self {
        let signed = Arc::new(sealed.signed().clone());
        let limits = operator.effective(&signed.manifest().limits);
        Self { sealed, signed, limits, functions: OnceLock::new() }
    }

    /// The exported functions, sorted by name, from a stub that is what the manifest says of it.
    pub(crate) fn functions(&self) -> Result<&[Function], SurfaceError> {
        let read = || {
            let (surface, manifest) = (Surface::of(self.sealed.stub())?, self.signed.manifest());
            surface.check_stub(manifest)?;
            let function = |name: &str| {
                let operation = manifest.operation_of(name).map(|operation| operation.name.clone());
                Function::new(name, operation, surface.export_type(name).unwrap_or_default())
            };
            surface.exports().map(function).collect()
        };
        self.functions.get_or_init(read).as_deref().map_err(Clone::clone)
    }

    /// The export of a whole name.
    pub(crate) fn function(&self, export: &str) -> Result<&Function, Error> {
        let found = self.functions()?.iter().find(|function| function.export == export);
        // The stub has the exports of the manifest, so it is there.
        found.ok_or_else(|| SurfaceError::ExportDiffers(export.to_owned()).into())
    }

    /// Whether this host can run the resource at all, as far as that shows before it is paid for.
    pub(crate) fn can_run(&self, code: &PartEntry) -> Result<(), Error> {
        if code.size > self.limits.body {
            return Err(Error::BodyTooLarge { size: code.size, most: self.limits.body });
        }
        self.functions()?;
        let refused = |import: &String| check_import(import).map_err(|error| Error::Body(error.to_string()));
        self.signed.manifest().imports.iter().try_for_each(refused)
    }

    /// Opens a part with the key that a grant released, where waiting for the file holds up nobody.
    pub(crate) async fn open_part(
        &self,
        name: &PartName,
        key: &FileKey,
        ahead: &Arc<Semaphore>,
    ) -> Result<Part, SealedError> {
        let (sealed, name, key) = (self.sealed.clone(), name.clone(), key.clone());
        let opened = tokio::task::spawn_blocking(move || sealed.part(&name, &key)).await;
        Ok(Part::new(opened.map_err(std::io::Error::other)??, Arc::clone(ahead)))
    }
}
