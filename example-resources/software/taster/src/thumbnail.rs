//! A small copy of an image: each pixel is the mean of those that it covers.

use codec::{Depth, Format, Picture};

/// The longest side of a thumbnail, in pixels.
pub(crate) const LONGEST_SIDE: u32 = 160;

/// Shrinks `picture` to fit, 8 bits a sample. One that fits keeps its size.
pub(crate) fn of(picture: Picture) -> Picture {
    let Format { width, height, channels, depth } = picture.format;
    let longest = width.max(height).max(LONGEST_SIDE);
    let shrink = |side: u32| (u64::from(side) * u64::from(LONGEST_SIDE) / u64::from(longest)).max(1) as u32;
    let (small_width, small_height) =
        if longest > LONGEST_SIDE { (shrink(width), shrink(height)) } else { (width, height) };
    let format = Format { width: small_width, height: small_height, channels, depth: Depth::Eight };

    // The most significant byte of a 16-bit sample in native order.
    let high = if cfg!(target_endian = "big") { 0 } else { depth.bytes() - 1 };
    let pixel = channels.count() * depth.bytes();
    let mut samples = Vec::with_capacity((small_width * small_height) as usize * channels.count());
    for y in 0..small_height {
        for x in 0..small_width {
            let (rows, columns) = (span(y, height, small_height), span(x, width, small_width));
            let count = (rows.len() * columns.len()) as u64;
            let mut sums = [0_u64; 4];
            for row in rows {
                for column in columns.clone() {
                    let at = (row * width as usize + column) * pixel;
                    for (channel, sum) in sums[..channels.count()].iter_mut().enumerate() {
                        *sum += u64::from(picture.samples[at + channel * depth.bytes() + high]);
                    }
                }
            }
            samples.extend(sums[..channels.count()].iter().map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    picture.with(format, samples)
}

/// The old pixels that the new pixel `index` covers: at least one.
fn span(index: u32, old: u32, new: u32) -> std::ops::Range<usize> {
    let edge = |index: u32| (u64::from(index) * u64::from(old) / u64::from(new)) as usize;
    edge(index)..edge(index + 1).max(edge(index) + 1)
}
