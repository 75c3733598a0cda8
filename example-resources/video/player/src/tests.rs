//! The resource against the SDK's double: no server, the real film.

use std::sync::LazyLock;

use avi::Film;
use first_light_studio::{FILM, FRAMES, TRAILER, TRAILER_FRAMES, draw};
use portcullis_guest::testing::{Double, Event, Installed};
use portcullis_guest::{Money, Offer, Refusal};
use std::io::Cursor;

use crate::bindings::exports::ridgeline::first_light::film::{Error, Guest};
use crate::{Video, command};

static FULL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = Vec::new();
    first_light_studio::film(&mut file).unwrap();
    file
});
static PREVIEW: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = Vec::new();
    first_light_studio::trailer(&mut file).unwrap();
    file
});

fn resource() -> Double {
    Double::new()
        .part("trailer", PREVIEW.as_slice())
        .part("film", FULL.as_slice())
        .operation("preview", &["trailer"])
        .operation("watch", &["film"])
}

fn unpaid() -> Refusal {
    Refusal::PaymentRequired(vec![Offer {
        id: "o1".into(),
        title: "The whole film, for good".into(),
        price: Money::new(399, "EUR"),
        model: "perpetual".into(),
        quantity: None,
    }])
}

/// Checks that a file has these frames of the film, pixel by pixel.
fn shows(file: &[u8], frames: std::ops::Range<u32>) {
    let mut film = Film::open(Cursor::new(file)).unwrap();
    assert_eq!((film.format(), film.frames()), (FILM, frames.len() as u32));
    let mut frame = Vec::new();
    for (at, number) in frames.enumerate() {
        film.read(at as u32, &mut frame).unwrap();
        assert!(frame == draw(FILM, number), "frame {at} is not frame {number} of the film");
    }
}

/// Parts that were opened, and bytes that were read.
fn traffic(double: &Installed) -> (Vec<String>, u64) {
    let (mut opened, mut read) = (Vec::new(), 0);
    for event in double.events() {
        match event {
            Event::Opened { part, .. } => opened.push(part),
            Event::Read { length, .. } => read += u64::from(length),
            _ => {}
        }
    }
    (opened, read)
}

#[test]
fn the_part_is_large() {
    assert!(FULL.len() > 64 << 20, "{}", FULL.len());
    let about = Video::info();
    assert_eq!((about.width, about.height, about.rate), (FILM.width, FILM.height, FILM.rate));
    assert_eq!(about.seconds * about.rate, FRAMES);
}

#[test]
fn the_preview_needs_no_more_than_its_own_part() {
    let double = resource().refuse("watch", unpaid()).enter("preview").install();
    let preview = Video::preview().unwrap();
    let film = Film::open(Cursor::new(&preview)).unwrap();
    assert_eq!((film.format(), film.frames()), (TRAILER, TRAILER_FRAMES.len() as u32));
    assert_eq!(film.frames(), 2 * TRAILER.rate, "two seconds");
    assert_eq!(traffic(&double).0, ["trailer"]);
}

#[test]
fn a_clip_shows_its_frames_and_reads_little_more() {
    let double = resource().enter("watch").install();
    shows(&Video::clip(7.5, 0.5).unwrap(), 180..192);
    let (opened, read) = traffic(&double);
    assert_eq!(opened, ["film"]);
    // Buffered reads run ahead by 64 KiB, for the index as well as for the frame.
    let most = 12 * (FILM.frame() as u64 + 3 * 65_536) + 65_536;
    assert!(read <= most, "{read} bytes read of {} for 12 frames", FULL.len());
    assert_eq!(double.drawn("watch"), 0, "the host drew before the call");
}

#[test]
fn clips_begin_and_end_where_frames_do() {
    let _double = resource().enter("watch").install();
    shows(&Video::clip(0.0, 0.01).unwrap(), 0..1);
    shows(&Video::clip(0.1, 0.1).unwrap(), 3..5);
    shows(&Video::clip(1.0 / 3.0, 1.0 / 3.0).unwrap(), 8..16);
    shows(&Video::clip(15.9, 0.1).unwrap(), 382..384);
}

#[test]
fn what_the_film_does_not_have_is_an_error() {
    let _double = resource().enter("watch").install();
    let nowhere =
        [(-0.1, 1.0), (16.0, 1.0), (15.0, 1.1), (0.0, 10.1), (1.01, 0.001), (f64::NAN, 1.0), (1.0, f64::INFINITY)];
    for (start, seconds) in nowhere {
        let result = Video::clip(start, seconds);
        assert!(matches!(result, Err(Error::OutOfRange(_))), "{start}, {seconds}");
    }
}

#[test]
fn the_command_writes_the_film_as_the_studio_made_it() {
    let _double = resource().enter("watch").install();
    let mut out = Vec::new();
    command::watch(0.0, None, &mut out).unwrap();
    assert!(out == *FULL);
}

#[test]
fn the_command_takes_a_start_and_a_length() {
    let parse = |arguments: &[&str]| command::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(parse(&[]), Some((0.0, None)));
    assert_eq!(parse(&["2.5"]), Some((2.5, None)));
    assert_eq!(parse(&["2.5", "1"]), Some((2.5, Some(1.0))));
    assert_eq!((parse(&["soon"]), parse(&["1", "2", "3"])), (None, None));
}

#[test]
fn a_reader_that_goes_ends_the_writing() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let double = resource().enter("watch").install();
    assert!(matches!(command::watch(0.0, None, Gone), Err(Error::Unreadable(_))));
    assert!(traffic(&double).1 < 1 << 20, "nothing is read for nobody");
}

#[test]
fn under_the_grant_of_the_preview_watching_runs_its_own_cycle() {
    let double = resource().refuse("watch", unpaid()).enter("preview").install();
    match Video::clip(0.0, 1.0) {
        Err(Error::Refused(refusal)) => assert_eq!(refusal, unpaid()),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
    assert_eq!(traffic(&double).0, [""; 0]);

    double.allow("watch");
    shows(&Video::clip(0.0, 0.125).unwrap(), 0..3);
    assert_eq!(double.drawn("watch"), 1);
}

#[test]
fn a_part_that_is_no_film_gives_none() {
    let mut elsewhere = FULL.clone();
    let entry = elsewhere.len() - 16 * FRAMES as usize;
    elsewhere[entry + 8..entry + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut zero = FULL.clone();
    zero[132..136].fill(0);
    let parts: [&[u8]; 5] = [b"", b"no film", &FULL[..FULL.len() / 2], &elsewhere, &zero];
    for part in parts {
        let _double = Double::new().part("film", part).operation("watch", &["film"]).enter("watch").install();
        assert!(matches!(Video::clip(0.0, 1.0), Err(Error::Unreadable(_))), "{} bytes", part.len());
    }
    let _double = resource().damaged("film").enter("watch").install();
    assert!(matches!(Video::clip(0.0, 1.0), Err(Error::Unreadable(_))));
}
