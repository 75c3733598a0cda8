//! A smaller copy of a photograph.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{ResizeError, Resizer};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageError};
use std::io::Cursor;

use crate::bindings::exports::lumen::picos_de_europa::picture::Error;

/// Smaller is no picture any more.
const NARROWEST: u32 = 16;

/// Of 1 to 100: artefacts are not seen, and the file is a third of quality 100.
const QUALITY: u8 = 90;

/// Scales a JPEG down to `width` with a Lanczos filter of three lobes, on the stored (gamma encoded) values.
pub(crate) fn to_width(jpeg: &[u8], width: u32) -> Result<Vec<u8>, Error> {
    let decoder = JpegDecoder::new(Cursor::new(jpeg))?;
    let (full_width, full_height) = decoder.dimensions();
    if !(NARROWEST..=full_width).contains(&width) {
        return Err(Error::OutOfRange(format!("a width from {NARROWEST} to {full_width} pixels")));
    }
    let height = scaled(full_height, width, full_width);
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut pixels)?;

    let full = TypedImageRef::<U8x3>::from_buffer(full_width, full_height, &pixels)
        .map_err(|_| Error::Unreadable("the picture is not in colour".into()))?;
    let mut copy = vec![0; width as usize * height as usize * 3];
    let mut small = TypedImage::<U8x3>::from_buffer(width, height, &mut copy)
        .map_err(|_| Error::Unreadable("the copy has another size".into()))?;
    Resizer::new().resize_typed(&full, &mut small, None)?;
    drop(pixels);

    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode(&copy, width, height, ExtendedColorType::Rgb8)?;
    Ok(out)
}

/// `height · width ÷ full_width`, rounded, and at least 1.
fn scaled(height: u32, width: u32, full_width: u32) -> u32 {
    let (height, width, full_width) = (u64::from(height), u64::from(width), u64::from(full_width));
    let rounded = (height * width + full_width / 2) / full_width;
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<ResizeError> for Error {
    fn from(error: ResizeError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
