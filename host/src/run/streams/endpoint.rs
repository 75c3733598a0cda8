//! Where standard streams come from and lead to.

use crate::run::limits::Limits;
use crate::run::streams::console::ConsoleTurn;
use bytes::Bytes;
use parking_lot::Mutex;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

/// Where standard input comes from.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Input {
    /// Nowhere: it ends at once.
    #[default]
    Empty,
    /// From these bytes.
    Bytes(Bytes),
    /// From the process's own. Of what is typed at a terminal nothing is taken while a [`ConsoleTurn`] is held.
    Inherit,
}

/// Where standard output or standard error goes to. What goes to a terminal passes a
/// [`ScreenFilter`](crate::ScreenFilter); anything else gets the bytes as they are.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Output {
    /// Nowhere.
    #[default]
    Discard,
    /// Into a buffer.
    Buffer(OutputBuffer),
    /// To the process's own standard output.
    Stdout,
    /// To the process's own standard error.
    Stderr,
    /// Into a file, from where it stands on.
    File(Arc<File>),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Buffer(_) => "Buffer",
            Self::Stdout => "Stdout",
            Self::Stderr => "Stderr",
            Self::File(_) => "File",
        })
    }
}

impl Output {
    /// How many bytes it takes. What is collected lies in memory, as results do.
    pub(crate) fn most(&self, limits: &Limits) -> u64 {
        match self {
            Self::Buffer(_) => limits.output.min(limits.result),
            _ => limits.output,
        }
    }

    /// Whether writing to it may have to wait.
    pub(crate) const fn may_wait(&self) -> bool {
        matches!(self, Self::Stdout | Self::Stderr | Self::File(_))
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Discard => Ok(()),
            Self::Buffer(buffer) => {
                buffer.0.lock().extend_from_slice(bytes);
                Ok(())
            }
            Self::Stdout => {
                let _turn = ConsoleTurn::of_a_stream();
                std::io::stdout().write_all(bytes)
            }
            Self::Stderr => {
                let _turn = ConsoleTurn::of_a_stream();
                std::io::stderr().write_all(bytes)
            }
            Self::File(file) => file.as_ref().write_all(bytes),
        }
    }

    pub(crate) fn flush(&self) -> std::io::Result<()> {
        match self {
            Self::Discard | Self::Buffer(_) | Self::File(_) => Ok(()),
            Self::Stdout => std::io::stdout().flush(),
            Self::Stderr => std::io::stderr().flush(),
        }
    }
}

/// Collects output. Clones share the buffer. What it holds came from a paid body, so it prints as its length.
#[derive(Clone, Default)]
pub struct OutputBuffer(Arc<Mutex<Vec<u8>>>);

impl OutputBuffer {
    /// Takes what was written so far.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock())
    }
}

impl std::fmt::Debug for OutputBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutputBuffer({} bytes)", self.0.lock().len())
    }
}

impl Output {
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => std::io::IsTerminal::is_terminal(&std::io::stdout()),
            Self::Stderr => std::io::IsTerminal::is_terminal(&std::io::stderr()),
            Self::File(file) => std::io::IsTerminal::is_terminal(file.as_ref()),
            Self::Discard | Self::Buffer(_) => false,
        }
    }
}
