//! An unsharp mask.

use std::ops::RangeInclusive;

use codec::{Depth, Format, Picture};

use crate::bindings::exports::pixelforge::resize::images::Error;

/// More turns a photograph into contours.
const AMOUNT: RangeInclusive<f32> = 0.0..=10.0;

/// Less changes nothing, more costs more than it shows.
const RADIUS: RangeInclusive<f32> = 0.1..=50.0;

/// Moves each colour sample away from the Gaussian mean of its surroundings. Beyond the edges, the edge goes on.
///
/// The mean is taken along rows, then along columns over a window of rows that moves down the image, so that it needs
/// memory for `6 · radius` rows and not for a second image.
pub(crate) fn unsharp_mask(mut picture: Picture, amount: f32, radius: f32) -> Result<Picture, Error> {
    if !AMOUNT.contains(&amount) {
        return Err(Error::BadArgument("the amount is 0 to 10".into()));
    }
    if !RADIUS.contains(&radius) {
        return Err(Error::BadArgument("the radius is 0.1 to 50 pixels".into()));
    }
    let kernel = gaussian(radius);
    let format = picture.format;
    match format.depth {
        Depth::Eight => mask::<1>(&mut picture.samples, format, &kernel, amount),
        Depth::Sixteen => mask::<2>(&mut picture.samples, format, &kernel, amount),
    }
    Ok(picture)
}

/// The weights from the middle to one side, three standard deviations far; both sides together sum to one.
fn gaussian(deviation: f32) -> Vec<f32> {
    let reach = (3.0 * deviation).ceil() as usize;
    let weights: Vec<f32> =
        (0..=reach).map(|distance| (-((distance * distance) as f32) / (2.0 * deviation * deviation)).exp()).collect();
    let sum = 2.0 * weights.iter().sum::<f32>() - weights[0];
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The mask over samples of `BYTES` bytes.
fn mask<const BYTES: usize>(samples: &mut [u8], format: Format, kernel: &[f32], amount: f32) {
    let reach = kernel.len() - 1;
    let (height, channels) = (format.height as usize, format.channels.count());
    let colours = format.channels.colours();
    let row_samples = format.width as usize * channels;
    let greatest = if BYTES == 1 { 255.0 } else { 65_535.0 };
    let samples = samples.as_chunks_mut::<BYTES>().0;

    // Row `y` of the blurred rows lies at `y % window`; those from `y - reach` to `y + reach` are needed for `y`, and
    // rows are blurred before the image overwrites them.
    let window = 2 * reach + 1;
    let mut blurred = vec![0.0; window * row_samples];
    let mut padded = vec![0.0; row_samples + 2 * reach * channels];
    let mut next = 0;
    let mut mean = vec![0.0; row_samples];
    for y in 0..height {
        while next < height && next <= y + reach {
            pad(&samples[next * row_samples..][..row_samples], channels, reach, &mut padded);
            let into = &mut blurred[next % window * row_samples..][..row_samples];
            blur_row(&padded, channels, kernel, into);
            next += 1;
        }
        mean.fill(0.0);
        for offset in 0..window {
            let weight = kernel[offset.abs_diff(reach)];
            let row = (y + offset).saturating_sub(reach).min(height - 1);
            let row = &blurred[row % window * row_samples..][..row_samples];
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        let row = &mut samples[y * row_samples..][..row_samples];
        for (pixel, mean) in row.chunks_exact_mut(channels).zip(mean.chunks_exact(channels)) {
            for (sample, mean) in pixel[..colours].iter_mut().zip(mean) {
                let value = read(*sample);
                let raised = (value + amount * (value - mean)).clamp(0.0, greatest);
                *sample = write(raised + 0.5);
            }
        }
    }
}

/// A row as numbers, its first and last pixel repeated `reach` times.
fn pad<const BYTES: usize>(row: &[[u8; BYTES]], channels: usize, reach: usize, into: &mut [f32]) {
    let side = reach * channels;
    for (value, sample) in into[side..].iter_mut().zip(row) {
        *value = read(*sample);
    }
    let end = side + row.len();
    for index in 0..side {
        into[index] = read(row[index % channels]);
        into[end + index] = read(row[row.len() - channels + index % channels]);
    }
}

fn blur_row(padded: &[f32], channels: usize, kernel: &[f32], into: &mut [f32]) {
    let reach = kernel.len() - 1;
    let length = into.len();
    into.fill(0.0);
    for offset in 0..=2 * reach {
        let weight = kernel[offset.abs_diff(reach)];
        for (sum, value) in into.iter_mut().zip(&padded[offset * channels..][..length]) {
            *sum += weight * value;
        }
    }
}

/// One or two bytes in native order, as a number.
fn read<const BYTES: usize>(sample: [u8; BYTES]) -> f32 {
    let mut bytes = [0; 2];
    match BYTES {
        1 => f32::from(sample[0]),
        _ => {
            bytes.copy_from_slice(&sample);
            f32::from(u16::from_ne_bytes(bytes))
        }
    }
}

fn write<const BYTES: usize>(value: f32) -> [u8; BYTES] {
    let mut sample = [0; BYTES];
    match BYTES {
        1 => sample[0] = value as u8,
        _ => sample.copy_from_slice(&(value as u16).to_ne_bytes()),
    }
    sample
}
