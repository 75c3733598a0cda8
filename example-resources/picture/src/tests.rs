//! The resource against the SDK's double: no server, the real pictures.

use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use portcullis_guest::testing::{Double, Event, Installed};
use portcullis_guest::{Money, Offer, Refusal};

use crate::Picture;
use crate::bindings::exports::lumen::picos_de_europa::picture::{Error, Guest};

const PREVIEW: &[u8] = include_bytes!("../assets/preview.jpg");
const FULL: &[u8] = include_bytes!("../assets/full.jpg");

fn resource() -> Double {
    Double::new()
        .part("preview", PREVIEW)
        .part("full", FULL)
        .operation("preview", &["preview"])
        .operation("view", &["full"])
}

fn unpaid() -> Refusal {
    Refusal::PaymentRequired(vec![Offer {
        id: "o1".into(),
        title: "Full picture, for good".into(),
        price: Money::new(199, "EUR"),
        model: "perpetual".into(),
        quantity: None,
    }])
}

fn decode(jpeg: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().into_rgb8()
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
    let double = resource().refuse("view", unpaid()).enter("preview").install();
    let picture = decode(&Picture::preview().unwrap());
    assert_eq!(picture.dimensions(), (480, 360));
    assert_eq!(opened(&double), ["preview"]);
}

#[test]
fn the_preview_shows_the_picture_that_is_sold() {
    let reference = imageops::resize(&decode(FULL), 480, 360, FilterType::Lanczos3);
    assert!(mean_difference(&decode(PREVIEW), &reference) < 4.0);
}

#[test]
fn the_label_agrees_with_the_picture() {
    let about = Picture::info();
    let picture = decode(FULL);
    assert_eq!((about.width, about.height), picture.dimensions());
    assert!(u64::from(about.width) * u64::from(about.height) >= 4_000_000);
}

#[test]
fn bought_the_full_picture_comes_byte_for_byte() {
    let double = resource().enter("view").install();
    assert!(Picture::view().unwrap() == FULL);
    assert_eq!(double.drawn("view"), 0, "the host drew before the call");
}

#[test]
fn under_the_grant_of_the_preview_view_runs_its_own_cycle() {
    let double = resource().refuse("view", unpaid()).enter("preview").install();
    assert!(matches!(Picture::view(), Err(Error::Refused(Refusal::PaymentRequired(_)))));
    assert_eq!(opened(&double), [""; 0]);
}

#[test]
fn an_upgrade_is_refused_with_its_offer_then_bought() {
    let double = resource().refuse("view", unpaid()).enter("preview").install();
    match Picture::upgrade() {
        Err(Error::Refused(refusal)) => assert_eq!(refusal, unpaid()),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
    assert_eq!(opened(&double), [""; 0]);

    double.allow("view");
    assert!(Picture::upgrade().unwrap() == FULL);
    assert_eq!(double.drawn("view"), 1);
}

#[test]
fn a_scaled_view_agrees_with_another_implementation() {
    let _double = resource().enter("view").install();
    let scaled = decode(&Picture::view_scaled(800).unwrap());
    assert_eq!(scaled.dimensions(), (800, 600));
    let reference = imageops::resize(&decode(FULL), 800, 600, FilterType::Lanczos3);
    // JPEG at quality 90 alone moves a value by about 2.
    let difference = mean_difference(&scaled, &reference);
    assert!(difference < 3.0, "{difference}");
    let other = imageops::flip_horizontal(&reference);
    assert!(mean_difference(&scaled, &other) > 20.0, "the measure tells pictures apart");
}

#[test]
fn a_width_that_the_picture_does_not_have_is_an_error() {
    let _double = resource().enter("view").install();
    for width in [0, 15, 3265, u32::MAX] {
        assert!(matches!(Picture::view_scaled(width), Err(Error::OutOfRange(_))), "{width}");
    }
    for width in [16, 3264] {
        assert_eq!(decode(&Picture::view_scaled(width).unwrap()).width(), width);
    }
}

#[test]
fn a_damaged_part_gives_no_picture() {
    let _double = resource().damaged("full").enter("view").install();
    assert!(matches!(Picture::view(), Err(Error::Unreadable(_))));
}

#[test]
fn a_part_that_is_no_jpeg_gives_no_picture() {
    let _double = Double::new().part("full", *b"no picture").operation("view", &["full"]).enter("view").install();
    assert!(matches!(Picture::view_scaled(100), Err(Error::Unreadable(_))));
}

/// The mean of how far two pictures' values lie apart, of 255.
fn mean_difference(one: &RgbImage, other: &RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len() as f64
}
