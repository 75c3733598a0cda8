//! The resource against the SDK's double: no server, the real music.

use std::sync::LazyLock;

use portcullis_guest::testing::{Double, Event, Installed};
use portcullis_guest::{Money, Offer, Refusal};

use crate::bindings::exports::tidewater::harbour_at_dusk::track::{Error, Guest};
use crate::{Music, wav};

static TRACK: LazyLock<Vec<i16>> = LazyLock::new(harbour_studio::track);
static FULL: LazyLock<Vec<u8>> = LazyLock::new(|| harbour_studio::encode(&TRACK));
static PREVIEW: LazyLock<Vec<u8>> = LazyLock::new(|| harbour_studio::encode(&harbour_studio::preview(&TRACK)));

fn resource() -> Double {
    Double::new()
        .part("preview", PREVIEW.as_slice())
        .part("full", FULL.as_slice())
        .operation("preview", &["preview"])
        .operation("play", &["full"])
}

fn unpaid() -> Refusal {
    Refusal::PaymentRequired(vec![Offer {
        id: "o1".into(),
        title: "Twenty plays".into(),
        price: Money::new(99, "EUR"),
        model: "uses".into(),
        quantity: Some(20),
    }])
}

/// The samples of a WAVE file, each field of its head checked.
fn samples(wav: &[u8]) -> Vec<i16> {
    let (head, data) = wav.split_at(wav::HEADER);
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let short = |at: usize| u16::from_le_bytes(head[at..at + 2].try_into().unwrap());
    assert_eq!((&head[..4], &head[8..16], &head[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    assert_eq!((number(4) as usize, number(40) as usize), (wav.len() - 8, data.len()));
    assert_eq!((number(16), short(20), short(22), number(24)), (16, 1, 2, 44_100));
    assert_eq!((number(28), short(32), short(34)), (176_400, 4, 16));
    data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn opened(double: &Installed) -> Vec<String> {
    double
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Opened { part, .. } => Some(part),
            _ => None,
        })
        .collect()
}

#[test]
fn the_preview_needs_no_more_than_its_own_part() {
    let double = resource().refuse("play", unpaid()).enter("preview").install();
    assert!(samples(&Music::preview().unwrap()) == harbour_studio::preview(&TRACK));
    assert_eq!(opened(&double), ["preview"]);
    assert_eq!(harbour_studio::PREVIEW.len(), 10 * 44_100, "ten seconds");
}

#[test]
fn paid_for_the_track_comes_sample_for_sample() {
    let double = resource().enter("play").install();
    assert!(samples(&Music::play().unwrap()) == *TRACK);
    assert_eq!(double.drawn("play"), 0, "the host drew before the call");
}

#[test]
fn the_label_agrees_with_the_track() {
    let about = Music::info();
    assert_eq!((about.sample_rate, about.channels, about.depth), (44_100, 2, 16));
    assert_eq!(TRACK.len(), about.seconds as usize * 44_100 * 2);
}

#[test]
fn under_the_grant_of_the_preview_playing_runs_its_own_cycle() {
    let double = resource().refuse("play", unpaid()).enter("preview").install();
    match Music::play() {
        Err(Error::Refused(refusal)) => assert_eq!(refusal, unpaid()),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
    assert_eq!(opened(&double), [""; 0]);

    double.allow("play");
    assert!(samples(&Music::play().unwrap()) == *TRACK);
    assert_eq!(double.drawn("play"), 1);
}

#[test]
fn a_damaged_part_gives_no_music() {
    let _double = resource().damaged("full").enter("play").install();
    assert!(matches!(Music::play(), Err(Error::Unreadable(_))));
}

#[test]
fn a_part_that_is_no_music_gives_none() {
    let cut = &FULL[..FULL.len() / 2];
    for part in [b"no music".as_slice(), b"", b"fLaC", cut] {
        let _double = Double::new().part("full", part).operation("play", &["full"]).enter("play").install();
        assert!(matches!(Music::play(), Err(Error::Unreadable(_))), "{} bytes", part.len());
    }
}
