//! What the studio draws: the same pixels everywhere, and something to look at.

use first_light_studio::{FILM, FRAMES, TRAILER, TRAILER_FRAMES, draw};

/// A second of the film, a frame a second, and the trailer's first, as they were first released. Who changes the film
/// changes this, and the resource's version.
const RELEASED: u64 = 0xa282_39e6_802c_6bb6;

#[test]
fn every_machine_draws_the_same_pixels() {
    let frames = (0..FRAMES).step_by(24).map(|number| draw(FILM, number));
    let pixels = frames.chain([draw(TRAILER, TRAILER_FRAMES.start)]).flatten();
    // FNV-1a, 64 bits.
    let digest = pixels.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(digest, RELEASED, "{digest:#x}");
}

#[test]
fn it_moves_and_the_sun_rises() {
    let luma = (FILM.width * FILM.height) as usize;
    let mean = |number| draw(FILM, number)[..luma].iter().map(|value| u64::from(*value)).sum::<u64>() / luma as u64;
    let (night, day) = (mean(0), mean(FRAMES - 1));
    assert!(night < 60 && day > 140, "{night} {day}");
    let (one, next) = (draw(FILM, 100), draw(FILM, 101));
    assert!(one.iter().zip(&next).filter(|(a, b)| a != b).count() > luma / 50);
}

#[test]
fn values_keep_within_what_video_may_have() {
    for number in [0, 200, FRAMES - 1] {
        assert!(draw(FILM, number).iter().all(|value| (16..=240).contains(value)), "frame {number}");
    }
}
