//! PNG images in and out of memory, within bounds that fit a guest of 256 MiB.
//!
//! The most that lives at once is the encoded input beside the decoded image, then two decoded images, then one
//! beside the encoded output, whose buffer may have to double once.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{Cursor, Write};

use png::{BitDepth, ColorType, Info, Transformations};

/// Bytes of a decoded image: 13.9 megapixels of RGB at 8 bits. Noise of this size, which compression makes longer than
/// it was, took 162 MiB of a guest's memory to sharpen, and came out below 64 MiB.
pub const LARGEST_IMAGE: usize = 40 << 20;

/// Bytes of an encoded image. PNG adds little to what it cannot compress.
pub const LARGEST_FILE: usize = 64 << 20;

/// An image in memory: rows from the top, samples interleaved, 16-bit samples in native byte order.
pub struct Picture {
    pub format: Format,
    pub samples: Vec<u8>,
    /// What the file says about colour and resolution.
    info: Info<'static>,
}

/// The shape of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub width: u32,
    pub height: u32,
    pub channels: Channels,
    pub depth: Depth,
}

/// What a pixel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Eight,
    Sixteen,
}

/// Why there is no image.
#[derive(Debug)]
pub enum CodecError {
    /// Not a PNG image, or a damaged one.
    NotPng(String),
    /// More memory than there is.
    TooLarge(String),
}

impl Channels {
    /// Samples of one pixel.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Samples of one pixel that are colour. Alpha stands last.
    pub const fn colours(self) -> usize {
        match self {
            Self::Grey | Self::GreyAlpha => 1,
            Self::Rgb | Self::Rgba => 3,
        }
    }
}

impl Depth {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

impl Format {
    /// Bytes of the decoded image.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] above [`LARGEST_IMAGE`].
    pub fn size(&self) -> Result<usize, CodecError> {
        let bytes =
            u64::from(self.width) * u64::from(self.height) * (self.channels.count() * self.depth.bytes()) as u64;
        usize::try_from(bytes).ok().filter(|bytes| *bytes <= LARGEST_IMAGE).ok_or_else(|| {
            CodecError::TooLarge(format!(
                "{} × {} pixels take {} MiB; there is room for {} MiB",
                self.width,
                self.height,
                bytes >> 20,
                LARGEST_IMAGE >> 20
            ))
        })
    }

    fn color_type(&self) -> ColorType {
        match self.channels {
            Channels::Grey => ColorType::Grayscale,
            Channels::GreyAlpha => ColorType::GrayscaleAlpha,
            Channels::Rgb => ColorType::Rgb,
            Channels::Rgba => ColorType::Rgba,
        }
    }

    fn bit_depth(&self) -> BitDepth {
        match self.depth {
            Depth::Eight => BitDepth::Eight,
            Depth::Sixteen => BitDepth::Sixteen,
        }
    }
}

/// What a PNG decodes to, from its header alone.
///
/// # Errors
/// It is no PNG, or an image too large to work on.
pub fn probe(file: &[u8]) -> Result<Format, CodecError> {
    let reader = open(file)?;
    let format = format(&reader)?;
    format.size()?;
    Ok(format)
}

/// Decodes a PNG. Nothing is allocated before the header has been checked.
///
/// # Errors
/// It is no PNG, damaged, or too large.
pub fn decode(file: &[u8]) -> Result<Picture, CodecError> {
    let mut reader = open(file)?;
    let format = format(&reader)?;
    let mut samples = vec![0; format.size()?];
    reader.next_frame(&mut samples).map_err(not_png)?;
    if format.depth == Depth::Sixteen {
        // PNG is big-endian; arithmetic is not.
        for sample in samples.as_chunks_mut::<2>().0 {
            *sample = u16::from_be_bytes(*sample).to_ne_bytes();
        }
    }
    let old = reader.info();
    let mut info = Info::with_size(format.width, format.height);
    // Read as they stand in the file; what is written is asked for by other names.
    info.source_gamma = old.gama_chunk;
    info.source_chromaticities = old.chrm_chunk;
    info.srgb = old.srgb;
    info.icc_profile = old.icc_profile.as_ref().map(|profile| profile.to_vec().into());
    info.pixel_dims = old.pixel_dims;
    Ok(Picture { format, samples, info })
}

/// Encodes an image as PNG.
///
/// # Errors
/// The samples are not what the format says, which is a mistake of the caller's.
pub fn encode(picture: Picture) -> Result<Vec<u8>, CodecError> {
    let Picture { format, mut samples, mut info } = picture;
    if format.depth == Depth::Sixteen {
        for sample in samples.as_chunks_mut::<2>().0 {
            *sample = u16::from_ne_bytes(*sample).to_be_bytes();
        }
    }
    (info.width, info.height) = (format.width, format.height);
    (info.color_type, info.bit_depth) = (format.color_type(), format.bit_depth());
    let mut file = Vec::with_capacity(samples.len());
    let mut encoder = png::Encoder::with_info(&mut file, info).map_err(not_png)?;
    encoder.set_compression(png::Compression::Fast);
    // As a stream: the compressed image is held once and not twice.
    let mut writer = encoder.write_header().map_err(not_png)?;
    let mut stream = writer.stream_writer().map_err(not_png)?;
    stream.write_all(&samples).map_err(not_png)?;
    stream.finish().map_err(not_png)?;
    writer.finish().map_err(not_png)?;
    Ok(file)
}

impl Picture {
    /// Other samples with this image's colours and resolution.
    pub fn with(self, format: Format, samples: Vec<u8>) -> Self {
        Self { format, samples, info: self.info }
    }
}

fn open(file: &[u8]) -> Result<png::Reader<Cursor<&[u8]>>, CodecError> {
    if file.len() > LARGEST_FILE {
        return Err(CodecError::TooLarge(format!("a file of more than {} MiB", LARGEST_FILE >> 20)));
    }
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: LARGEST_FILE });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(not_png)
}

fn format(reader: &png::Reader<Cursor<&[u8]>>) -> Result<Format, CodecError> {
    let (width, height) = reader.info().size();
    let (color, depth) = reader.output_color_type();
    Ok(Format {
        width,
        height,
        channels: match color {
            ColorType::Grayscale => Channels::Grey,
            ColorType::GrayscaleAlpha => Channels::GreyAlpha,
            ColorType::Rgb => Channels::Rgb,
            ColorType::Rgba => Channels::Rgba,
            ColorType::Indexed => return Err(CodecError::NotPng("a palette that was not expanded".into())),
        },
        depth: match depth {
            BitDepth::Sixteen => Depth::Sixteen,
            _ => Depth::Eight,
        },
    })
}

fn not_png(error: impl fmt::Display) -> CodecError {
    CodecError::NotPng(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Channels, CodecError, Depth, Format, decode, encode, probe};

    /// A PNG of one format, encoded by the `png` crate alone.
    fn file(
        color: png::ColorType,
        depth: png::BitDepth,
        samples: &[u8],
        extra: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
    ) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 3, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        extra(&mut encoder);
        encoder.write_header().unwrap().write_image_data(samples).unwrap();
        file
    }

    fn raw(file: &[u8]) -> Vec<u8> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut samples).unwrap();
        samples
    }

    #[test]
    fn every_format_comes_back_as_it_was() {
        for (color, channels) in [
            (png::ColorType::Grayscale, Channels::Grey),
            (png::ColorType::GrayscaleAlpha, Channels::GreyAlpha),
            (png::ColorType::Rgb, Channels::Rgb),
            (png::ColorType::Rgba, Channels::Rgba),
        ] {
            for (bits, depth) in [(png::BitDepth::Eight, Depth::Eight), (png::BitDepth::Sixteen, Depth::Sixteen)] {
                let samples: Vec<u8> = (0..6 * channels.count() * depth.bytes()).map(|n| (n * 37) as u8).collect();
                let file = file(color, bits, &samples, |_| {});
                let format = Format { width: 3, height: 2, channels, depth };
                assert_eq!(probe(&file).unwrap(), format);
                assert_eq!(raw(&encode(decode(&file).unwrap()).unwrap()), samples, "{format:?}");
            }
        }
    }

    #[test]
    fn a_palette_is_expanded() {
        let file = file(png::ColorType::Indexed, png::BitDepth::Eight, &[0, 1, 0, 1, 0, 1], |encoder| {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
        });
        let picture = decode(&file).unwrap();
        assert_eq!(picture.format.channels, Channels::Rgb);
        assert_eq!(picture.samples[..6], [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn sixteen_bits_are_numbers_in_memory() {
        let file =
            file(png::ColorType::Grayscale, png::BitDepth::Sixteen, &[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], |_| {});
        assert_eq!(decode(&file).unwrap().samples[..2], 0x0102_u16.to_ne_bytes());
    }

    #[test]
    fn colour_information_is_passed_on() {
        let file = file(png::ColorType::Grayscale, png::BitDepth::Eight, &[0; 6], |encoder| {
            encoder.set_source_gamma(png::ScaledFloat::new(0.45455));
        });
        let again = encode(decode(&file).unwrap()).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&again)).read_info().unwrap();
        assert_eq!(reader.info().gama_chunk, Some(png::ScaledFloat::new(0.45455)));
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_memory_is_taken() {
        let mut bomb = file(png::ColorType::Grayscale, png::BitDepth::Eight, &[0; 6], |_| {});
        bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let checksum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert!(matches!(probe(&bomb), Err(CodecError::TooLarge(_))));
        assert!(matches!(decode(&bomb), Err(CodecError::TooLarge(_))));
    }

    #[test]
    fn what_is_damaged_or_no_png_is_refused() {
        let good = file(png::ColorType::Rgb, png::BitDepth::Eight, &[7; 18], |_| {});
        assert!(decode(&good).is_ok());
        for end in 0..good.len() - 12 {
            assert!(matches!(decode(&good[..end]), Err(CodecError::NotPng(_))), "cut at {end}");
        }
        assert!(matches!(decode(b"GIF89a"), Err(CodecError::NotPng(_))));
    }

    /// CRC-32 as PNG has it (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
        })
    }
}
