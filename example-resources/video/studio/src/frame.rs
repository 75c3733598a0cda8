//! One frame.

use avi::Format;

use crate::FRAMES;
use crate::colour::{Colour, gradient};
use crate::land::RANGES;
use crate::text::Timecode;

/// The sky from the top down, at night, at dawn and by day.
const SKY: [[(f32, Colour); 4]; 3] = [
    [
        (0.0, Colour::hex(0x0b1030)),
        (0.35, Colour::hex(0x1f2456)),
        (0.6, Colour::hex(0x5a3d6e)),
        (1.0, Colour::hex(0x8a4f66)),
    ],
    [
        (0.0, Colour::hex(0x2c3f80)),
        (0.35, Colour::hex(0x8a6a9c)),
        (0.6, Colour::hex(0xf0926a)),
        (1.0, Colour::hex(0xffd08a)),
    ],
    [
        (0.0, Colour::hex(0x3f7cc4)),
        (0.35, Colour::hex(0x7fb2dd)),
        (0.6, Colour::hex(0xcfe2ea)),
        (1.0, Colour::hex(0xf6ead0)),
    ],
];

/// The nearest range, at the same three times: what is near is dark.
const GROUND: [Colour; 3] = [Colour::hex(0x0a0e1c), Colour::hex(0x1d1a2b), Colour::hex(0x1c3328)];

const SUN: Colour = Colour::hex(0xfff0c8);

/// Draws one frame: a plane of luma, then two of chroma at half the width and half the height.
#[must_use]
pub fn draw(format: Format, number: u32) -> Vec<u8> {
    let Format { width, height, rate } = format;
    let seconds = number as f32 / rate as f32;
    // From 0, night, to 1, day.
    let time = number as f32 / FRAMES as f32;
    let of_time = |colours: [Colour; 3]| gradient(&[(0.0, colours[0]), (0.5, colours[1]), (1.0, colours[2])], time);
    let (w, h) = (width as f32, height as f32);
    let aspect = w / h;
    let (sun_x, sun_y) = (0.64, 0.62 - 0.42 * time);

    let sky: Vec<Colour> = (0..height)
        .map(|y| {
            let at = y as f32 / h / 0.75;
            of_time([0, 1, 2].map(|state| gradient(&SKY[state], at)))
        })
        .collect();
    let ground = of_time(GROUND);
    let horizon = sky[height as usize * 3 / 5];
    let ridges: Vec<Vec<f32>> =
        RANGES.iter().map(|range| (0..width).map(|x| range.at(x as f32 / w, seconds) * h).collect()).collect();

    let colour = |x: u32, y: u32| -> Colour {
        let (fx, fy) = (x as f32, y as f32);
        let across = (fx / w - sun_x) * aspect;
        let down = fy / h - sun_y;
        let far = (across * across + down * down).sqrt();
        let glow = 0.55 * time.min(1.0 - 0.5 * time) / (1.0 + 30.0 * far * far);
        let disc = ((0.045 - far) * h / 1.5).clamp(0.0, 1.0);
        let mut colour = sky[y as usize].lit(SUN, glow).mix(SUN, disc);
        for (index, ridge) in ridges.iter().enumerate() {
            let below = fy + 0.5 - ridge[x as usize];
            if below < -0.5 {
                continue;
            }
            // The farther a range is, the more of the air before it is seen; in its valleys lies mist.
            let near = (index as f32 + 1.0) / RANGES.len() as f32;
            let body = horizon.mix(ground, near * near * 0.55 + near * 0.45);
            let mist = (below / (0.22 * h)).min(1.0) * (1.0 - near) * 0.75;
            let body = body.mix(horizon, mist).lit(SUN, glow * 0.5 * (1.0 - near));
            // The edge covers a part of its pixels.
            colour = colour.mix(body, below + 0.5);
        }
        colour
    };

    let timecode = Timecode::new(number, rate, width, height);
    let mut frame = vec![0; format.frame()];
    let (luma, chroma) = frame.split_at_mut((width * height) as usize);
    let (blue, red) = chroma.split_at_mut((width * height / 4) as usize);
    for y in (0..height).step_by(2) {
        for x in (0..width).step_by(2) {
            let mut sums = [0.0; 2];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (x, y) = (x + dx, y + dy);
                let mut pixel = colour(x, y);
                match timecode.at(x, y) {
                    Some(true) => pixel = Colour([0.96; 3]),
                    Some(false) => pixel = pixel.mix(Colour([0.0; 3]), 0.45),
                    None => {}
                }
                let [bright, cb, cr] = pixel.video();
                luma[(y * width + x) as usize] = (bright + threshold(x, y)) as u8;
                sums[0] += cb;
                sums[1] += cr;
            }
            let at = (y / 2 * (width / 2) + x / 2) as usize;
            blue[at] = (sums[0] / 4.0 + threshold(x / 2, y / 2)) as u8;
            red[at] = (sums[1] / 4.0 + threshold(x / 2, y / 2)) as u8;
        }
    }
    frame
}

/// Ordered dither of 4 × 4: a gradient over few values shows no bands.
fn threshold(x: u32, y: u32) -> f32 {
    const BAYER: [u8; 16] = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];
    (f32::from(BAYER[(y % 4 * 4 + x % 4) as usize]) + 0.5) / 16.0
}
