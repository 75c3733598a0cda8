//! Where a sealed resource comes from.

use crate::error::Error;
use crate::ports::progress::Step;
use crate::run::services::Services;
use portcullis_protocol::sealed::{ReadAt, Sealed};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a sealed resource, wherever it lies.
pub(crate) type File = Box<dyn ReadAt + Send + Sync>;

/// Is told how many bytes are here, and of how many.
pub(crate) type Arrived = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A file that arrives while it is read.
pub(crate) trait Arrivals: Send + Sync {
    /// From now on `sink` is told what arrives.
    fn report_to(&self, sink: Arrived);
}

/// Where a sealed resource comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum Source {
    /// A file. It is opened once; what happens to the path afterwards does not matter.
    Path(PathBuf),
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A resource at its store, read by range: [`Library::stream`](crate::Library::stream).
    Streamed(Box<StreamedSource>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Streamed(streamed) => streamed.fmt(f),
        }
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&str> for Source {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Source {
    pub(crate) fn open(self, services: &Arc<Services>) -> Result<Sealed<File>, Error> {
        let file: File = match self {
            Self::Path(path) => Box::new(std::fs::File::open(path)?),
            Self::Bytes(bytes) => Box::new(bytes),
            Self::Streamed(streamed) => {
                let services = Arc::clone(services);
                let signed = streamed.sealed.signed().clone();
                let arrived = move |arrived, total| services.progress.step(&signed, Step::Streaming { arrived, total });
                streamed.arrivals.report_to(Arc::new(arrived));
                return Ok(streamed.sealed);
            }
        };
        Ok(Sealed::open(file)?)
    }
}

/// A resource at its store, opened by [`Library::stream`](crate::Library::stream).
#[derive(Clone)]
pub struct StreamedSource {
    pub(crate) sealed: Sealed<File>,
    pub(crate) arrivals: Arc<dyn Arrivals>,
}

impl fmt::Debug for StreamedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamedSource({:?})", self.sealed)
    }
}
