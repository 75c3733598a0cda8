//! Writing a file whose length is known.

use std::io::{self, Write};

use crate::{FRAME, Format, HEAD, I420};

/// Whether the file has an index.
const HAS_INDEX: u32 = 0x10;
/// Every frame stands alone.
const KEY_FRAME: u32 = 0x10;

/// Writes the head, then frame by frame, then the index.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    format: Format,
    frames: u32,
    written: u32,
}

impl<W: Write> Writer<W> {
    /// Writes the head of a file of so many frames.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] from 2 GiB on, which many players do not read. Else as writing.
    pub fn new(mut to: W, format: Format, frames: u32) -> io::Result<Self> {
        let chunk = 8 + format.frame() as u64;
        let index = 8 + 16 * u64::from(frames);
        let movi = 4 + chunk * u64::from(frames);
        let whole = u64::from(HEAD) - 12 + 8 + movi - 4 + 4 + index;
        let whole = whole - 8;
        if whole > i32::MAX as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let Format { width, height, rate } = format;
        let size = format.frame() as u32;
        let mut head = Vec::with_capacity(HEAD as usize);
        let mut put = |bytes: &[u8]| head.extend_from_slice(bytes);
        let mut file = |name: &[u8; 4], values: &[u32]| {
            put(name);
            for value in values {
                put(&value.to_le_bytes());
            }
        };
        file(b"RIFF", &[whole as u32]);
        file(b"AVI ", &[]);
        file(b"LIST", &[4 + 64 + 8 + 4 + 64 + 48]);
        file(b"hdrl", &[]);
        // Microseconds of a frame, bytes a second, alignment, flags, frames, first frame, streams, buffer, size,
        // reserved.
        file(
            b"avih",
            &[56, 1_000_000 / rate, size * rate, 0, HAS_INDEX, frames, 0, 1, size, width, height, 0, 0, 0, 0],
        );
        file(b"LIST", &[4 + 64 + 48]);
        file(b"strl", &[]);
        file(b"strh", &[56]);
        file(b"vids", &[]);
        // Flags, priority and language, first frame, time scale and rate, start, length, buffer, quality, sample size,
        // and the rectangle in two pairs of 16 bits.
        file(I420, &[0, 0, 0, 1, rate, 0, frames, size, u32::MAX, 0, 0, width | height << 16]);
        // The header of a bitmap: planes and bits in one word.
        file(b"strf", &[40, 40, width, height, 1 | 12 << 16]);
        file(I420, &[size, 0, 0, 0, 0]);
        file(b"LIST", &[movi as u32]);
        file(b"movi", &[]);
        debug_assert_eq!(head.len(), HEAD as usize);
        to.write_all(&head)?;
        Ok(Self { to, format, frames, written: 0 })
    }

    /// Writes the next frame.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the frame has another size, or is one too many. Else as writing.
    pub fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        if frame.len() != self.format.frame() || self.written == self.frames {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.to.write_all(FRAME)?;
        self.to.write_all(&(frame.len() as u32).to_le_bytes())?;
        self.to.write_all(frame)?;
        self.written += 1;
        Ok(())
    }

    /// Writes the index and gives back what was written to.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if frames are missing. Else as writing.
    pub fn finish(mut self) -> io::Result<W> {
        if self.written != self.frames {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let size = self.format.frame() as u32;
        let mut index = Vec::with_capacity(8 + 16 * self.frames as usize);
        index.extend_from_slice(b"idx1");
        index.extend_from_slice(&(16 * self.frames).to_le_bytes());
        for frame in 0..self.frames {
            index.extend_from_slice(FRAME);
            // From the word `movi` on.
            for value in [KEY_FRAME, 4 + frame * (8 + size), size] {
                index.extend_from_slice(&value.to_le_bytes());
            }
        }
        self.to.write_all(&index)?;
        self.to.flush()?;
        Ok(self.to)
    }
}
