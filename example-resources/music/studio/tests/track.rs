//! What the studio makes: the same bytes everywhere, and music by what can be measured of it.

use std::sync::LazyLock;

use harbour_studio::{PREVIEW, RATE, track};

static TRACK: LazyLock<Vec<i16>> = LazyLock::new(track);

/// The track as it was first released. Who changes the piece changes this, and the resource's version.
const RELEASED: u64 = 0xae63_f333_91bf_5906;

#[test]
fn every_machine_makes_the_same_samples() {
    // FNV-1a, 64 bits.
    let digest = TRACK
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(digest, RELEASED, "{digest:#x}");
}

#[test]
fn it_is_loud_enough_and_never_too_loud() {
    let most = TRACK.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!((29_000..29_300).contains(&most), "{most}");
    // No second of the piece itself is silent, and none is a wall of sound.
    for (second, samples) in TRACK.chunks_exact(2 * RATE as usize).take(66).enumerate() {
        let mean = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
        assert!((300.0..9_500.0).contains(&mean.sqrt()), "second {second}: {}", mean.sqrt());
    }
    assert_eq!(TRACK[TRACK.len() - 2..], [0, 0], "it dies away");
}

#[test]
fn it_is_stereo() {
    let apart = TRACK.chunks_exact(2).filter(|frame| frame[0].abs_diff(frame[1]) > 100).count();
    assert!(apart > TRACK.len() / 2 / 2, "{apart} frames");
}

#[test]
fn the_preview_is_a_piece_of_the_track() {
    let preview = harbour_studio::preview(&TRACK);
    assert_eq!(preview.len(), PREVIEW.len() * 2);
    // Between the fades it is the track itself.
    let inside = RATE as usize..9 * RATE as usize;
    let from = PREVIEW.start * 2;
    assert!(preview[inside.start * 2..inside.end * 2] == TRACK[from + inside.start * 2..from + inside.end * 2]);
    assert_eq!((preview[0], preview[1]), (0, 0));
    assert_eq!(preview[preview.len() - 2..], [0, 0]);
}
