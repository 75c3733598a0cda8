//! An image at another size.

use codec::{Channels, Depth, Format, Picture};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::bindings::exports::pixelforge::resize::images::{Error, Filter};

/// The longest side of a result: what browsers and editors open.
const LONGEST_SIDE: u32 = 16_384;

/// Resamples `picture`. Where it has alpha, colours are weighed by it.
pub(crate) fn to(picture: Picture, width: u32, height: u32, filter: Filter) -> Result<Picture, Error> {
    if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
        return Err(Error::BadArgument(format!("each side has 1 to {LONGEST_SIDE} pixels")));
    }
    let format = Format { width, height, ..picture.format };
    format.size()?;
    let pixel = pixel_type(format);
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::CatmullRom => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let source =
        ImageRef::new(picture.format.width, picture.format.height, &picture.samples, pixel).map_err(impossible)?;
    let mut target = Image::new(width, height, pixel);
    Resizer::new().resize(&source, &mut target, &ResizeOptions::new().resize_alg(algorithm)).map_err(impossible)?;
    let samples = target.into_vec();
    Ok(picture.with(format, samples))
}

fn pixel_type(format: Format) -> PixelType {
    match (format.channels, format.depth) {
        (Channels::Grey, Depth::Eight) => PixelType::U8,
        (Channels::GreyAlpha, Depth::Eight) => PixelType::U8x2,
        (Channels::Rgb, Depth::Eight) => PixelType::U8x3,
        (Channels::Rgba, Depth::Eight) => PixelType::U8x4,
        (Channels::Grey, Depth::Sixteen) => PixelType::U16,
        (Channels::GreyAlpha, Depth::Sixteen) => PixelType::U16x2,
        (Channels::Rgb, Depth::Sixteen) => PixelType::U16x3,
        (Channels::Rgba, Depth::Sixteen) => PixelType::U16x4,
    }
}

/// The buffer has the size and alignment of its format, so this says something about this crate alone.
fn impossible(error: impl std::fmt::Display) -> Error {
    Error::BadArgument(error.to_string())
}
