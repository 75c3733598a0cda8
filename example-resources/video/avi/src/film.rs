//! Reading single frames of a file.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::{FRAME, Format, HEAD, I420};

/// A file of which the head was read.
#[derive(Debug)]
pub struct Film<R> {
    from: R,
    format: Format,
    frames: u32,
    /// Where the index begins.
    index: u64,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Broken {
    /// Not a file as [`crate::Writer`] makes them.
    Format(&'static str),
    /// The bytes did not come.
    Io(io::Error),
}

impl<R: Read + Seek> Film<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`Broken::Format`] for a file of another kind.
    pub fn open(mut from: R) -> Result<Self, Broken> {
        let mut head = [0; HEAD as usize];
        from.seek(SeekFrom::Start(0))?;
        from.read_exact(&mut head)?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let is = |at: usize, name: &[u8; 4]| head[at..at + 4] == *name;
        let places: [(usize, &[u8; 4]); 7] =
            [(0, b"RIFF"), (8, b"AVI "), (24, b"avih"), (108, b"vids"), (112, I420), (188, I420), (220, b"movi")];
        if !places.iter().all(|(at, name)| is(*at, name)) {
            return Err(Broken::Format("not an AVI file of uncompressed 4:2:0"));
        }
        let format = Format { width: word(64), height: word(68), rate: word(132) };
        let frames = word(48);
        let sane = |side: u32| side > 0 && side.is_multiple_of(2) && side <= 8192;
        if !sane(format.width) || !sane(format.height) || format.rate == 0 || format.rate > 240 {
            return Err(Broken::Format("a size or a rate that no film has"));
        }
        let movi = word(216);
        // `movi` names its length from its own name on.
        let index = u64::from(HEAD) - 4 + u64::from(movi);
        let length = from.seek(SeekFrom::End(0))?;
        if length != index + 8 + 16 * u64::from(frames) {
            return Err(Broken::Format("another length than the head says"));
        }
        Ok(Self { from, format, frames, index })
    }

    /// What its frames are.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many frames it has.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Reads one frame into `frame`, which takes its size. The index says where it lies.
    ///
    /// # Errors
    /// [`Broken::Format`] if the index does not lead to a frame of this file.
    pub fn read(&mut self, number: u32, frame: &mut Vec<u8>) -> Result<(), Broken> {
        let mut entry = [0; 16];
        self.from.seek(SeekFrom::Start(self.index + 8 + 16 * u64::from(number)))?;
        self.from.read_exact(&mut entry)?;
        let [a, b, c, d, _, _, _, _, rest @ ..] = entry;
        let [o0, o1, o2, o3, l0, l1, l2, l3] = rest;
        let (offset, length) = (u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([l0, l1, l2, l3]));
        let at = u64::from(HEAD) - 4 + u64::from(offset);
        let expected = self.format.frame();
        if number >= self.frames || [a, b, c, d] != *FRAME || length as usize != expected {
            return Err(Broken::Format("the index has no such frame"));
        }
        if at + 8 + u64::from(length) > self.index {
            return Err(Broken::Format("the index leads out of the film"));
        }
        let mut head = [0; 8];
        self.from.seek(SeekFrom::Start(at))?;
        self.from.read_exact(&mut head)?;
        if head[..4] != *FRAME || head[4..] != length.to_le_bytes() {
            return Err(Broken::Format("the index does not lead to a frame"));
        }
        frame.resize(expected, 0);
        Ok(self.from.read_exact(frame)?)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(what) => write!(f, "the film cannot be read: {what}"),
            Self::Io(error) => write!(f, "the film cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Broken {}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
