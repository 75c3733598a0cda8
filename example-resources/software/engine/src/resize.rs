//! An image at another size.

use codec::{Channels, Depth, Format, Picture};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4, U16, U16x2, U16x3, U16x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::bindings::exports::pixelforge::resize::images::{Error, Filter};

/// The longest side of a result: what browsers and editors open.
const LONGEST_SIDE: u32 = 16_384;

/// Resamples `picture`. Where it has alpha, colours are weighed by it.
pub(crate) fn to(picture: Picture, width: u32, height: u32, filter: Filter) -> Result<Picture, Error> {
    if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
        return Err(Error::BadArgument(format!("each side has 1 to {LONGEST_SIDE} pixels")));
    }
    let format = Format { width, height, ..picture.format };
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::CatmullRom => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let options = ResizeOptions::new().resize_alg(algorithm);
    // By type and not by value: the code for pixels of floats stays out of the part.
    let samples = match (format.channels, format.depth) {
        (Channels::Grey, Depth::Eight) => resample::<U8>(&picture, format, &options),
        (Channels::GreyAlpha, Depth::Eight) => resample::<U8x2>(&picture, format, &options),
        (Channels::Rgb, Depth::Eight) => resample::<U8x3>(&picture, format, &options),
        (Channels::Rgba, Depth::Eight) => resample::<U8x4>(&picture, format, &options),
        (Channels::Grey, Depth::Sixteen) => resample::<U16>(&picture, format, &options),
        (Channels::GreyAlpha, Depth::Sixteen) => resample::<U16x2>(&picture, format, &options),
        (Channels::Rgb, Depth::Sixteen) => resample::<U16x3>(&picture, format, &options),
        (Channels::Rgba, Depth::Sixteen) => resample::<U16x4>(&picture, format, &options),
    }?;
    Ok(picture.with(format, samples))
}

fn resample<P: PixelTrait>(picture: &Picture, format: Format, options: &ResizeOptions) -> Result<Vec<u8>, Error> {
    let old = picture.format;
    let mut samples = vec![0; format.size()?];
    let source = TypedImageRef::<P>::from_buffer(old.width, old.height, &picture.samples).map_err(impossible)?;
    let mut target = TypedImage::<P>::from_buffer(format.width, format.height, &mut samples).map_err(impossible)?;
    Resizer::new().resize_typed(&source, &mut target, options).map_err(impossible)?;
    Ok(samples)
}

/// The buffers have the size of their format, and allocators align them to more than two bytes.
fn impossible(error: impl std::fmt::Display) -> Error {
    Error::BadArgument(error.to_string())
}
