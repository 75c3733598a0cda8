//! The functions against another implementation (the `image` crate), on a photograph of 8 megapixels.
//!
//! Tolerances: this code rounds and clamps to samples between the two passes of a resize, while the
//! reference keeps floats; at hard edges, where the filter overshoots, that shows. A wrong filter, a shift by half a
//! pixel or a swapped channel moves the mean by more than 1 on this photograph; see the last test.

use std::io::Cursor;
use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::Engine;
use crate::bindings::exports::pixelforge::resize::images::{Error, Filter, Guest};

static PHOTO: LazyLock<RgbImage> = LazyLock::new(|| {
    let jpeg = include_bytes!("../../../picture/assets/full.jpg");
    image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().into_rgb8()
});

static PHOTO_PNG: LazyLock<Vec<u8>> = LazyLock::new(|| png(PHOTO.clone()));

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn decode(png: &[u8]) -> DynamicImage {
    image::load_from_memory_with_format(png, ImageFormat::Png).unwrap()
}

/// The mean and the greatest of how far two pictures' values lie apart, of 255.
fn differences(one: &[u8], other: &[u8]) -> (f64, u8) {
    assert_eq!(one.len(), other.len());
    let each = || one.iter().zip(other).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each().map(u64::from).sum();
    (sum as f64 / one.len() as f64, each().max().unwrap())
}

#[test]
fn the_photograph_has_four_megapixels_and_more() {
    assert!(PHOTO.width() * PHOTO.height() >= 4_000_000);
}

#[test]
fn resizing_agrees_with_another_implementation() {
    for (filter, reference, width, height) in [
        (Filter::Lanczos3, FilterType::Lanczos3, 1024, 768),
        (Filter::Lanczos3, FilterType::Lanczos3, 3500, 900),
        (Filter::CatmullRom, FilterType::CatmullRom, 640, 480),
        (Filter::Bilinear, FilterType::Triangle, 333, 1001),
    ] {
        let ours = decode(&Engine::resize(PHOTO_PNG.clone(), width, height, filter).unwrap()).into_rgb8();
        let theirs = imageops::resize(&*PHOTO, width, height, reference);
        let (mean, greatest) = differences(&ours, &theirs);
        assert!(mean < 0.2 && greatest <= 16, "{filter:?} {width}: mean {mean}, greatest {greatest}");
    }
}

#[test]
fn sharpening_agrees_with_another_implementation() {
    let part = imageops::crop_imm(&*PHOTO, 900, 700, 900, 600).to_image();
    for radius in [0.8, 2.0, 5.0] {
        let ours = decode(&Engine::sharpen(png(part.clone()), 1.0, radius).unwrap()).into_rgb8();
        let theirs = imageops::unsharpen(&part, radius, 0);
        let (mean, greatest) = differences(&ours, &theirs);
        // The reference rounds the mean to a sample before it takes the difference, and has a kernel of its own size.
        assert!(mean < 0.6 && greatest <= 8, "{radius}: mean {mean}, greatest {greatest}");
        let (changed, _) = differences(&ours, &part);
        assert!(changed > 2.0, "{radius}: sharpening does something: {changed}");
    }
}

/// The definition itself, sample by sample: a two-dimensional kernel in double precision.
#[test]
fn sharpening_is_what_its_documentation_says() {
    let part = imageops::crop_imm(&*PHOTO, 1_500, 900, 41, 37).to_image();
    let (amount, deviation) = (1.5, 1.2);
    let sharp = decode(&Engine::sharpen(png(part.clone()), amount, deviation).unwrap()).into_rgb8();
    let (amount, deviation, reach) = (f64::from(amount), f64::from(deviation), 4_i64);
    for (x, y, pixel) in sharp.enumerate_pixels() {
        for channel in 0..3 {
            let at = |x: i64, y: i64| f64::from(part[(x.clamp(0, 40) as u32, y.clamp(0, 36) as u32)].0[channel]);
            let (mut sum, mut weights) = (0.0, 0.0);
            for dx in -reach..=reach {
                for dy in -reach..=reach {
                    let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * deviation * deviation)).exp();
                    sum += weight * at(i64::from(x) + dx, i64::from(y) + dy);
                    weights += weight;
                }
            }
            let value = at(x.into(), y.into());
            let expected = (value + amount * (value - sum / weights)).clamp(0.0, 255.0);
            assert!((expected - f64::from(pixel.0[channel])).abs() <= 0.51, "{x} {y}: {expected} {pixel:?}");
        }
    }
}

#[test]
fn a_whole_photograph_is_sharpened() {
    let sharp = decode(&Engine::sharpen(PHOTO_PNG.clone(), 0.5, 1.5).unwrap()).into_rgb8();
    assert_eq!(sharp.dimensions(), PHOTO.dimensions());
    let (mean, _) = differences(&sharp, &PHOTO);
    assert!((0.5..20.0).contains(&mean), "{mean}");
}

#[test]
fn an_amount_of_nothing_changes_nothing() {
    let part = imageops::crop_imm(&*PHOTO, 0, 0, 300, 200).to_image();
    let same = decode(&Engine::sharpen(png(part.clone()), 0.0, 2.0).unwrap()).into_rgb8();
    assert!(same == part);
}

#[test]
fn sixteen_bits_stay_sixteen_bits() {
    let gradient: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(256, 8, |x, _| Luma([(x * 257) as u16]));
    let ours = decode(&Engine::resize(png(gradient.clone()), 100, 8, Filter::Lanczos3).unwrap());
    let DynamicImage::ImageLuma16(ours) = ours else { panic!("{:?}", ours.color()) };
    let theirs = imageops::resize(&gradient, 100, 8, FilterType::Lanczos3);
    let greatest = ours.iter().zip(theirs.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(greatest <= 8, "{greatest} of 65535");

    let sharp = decode(&Engine::sharpen(png(gradient.clone()), 2.0, 1.0).unwrap()).into_luma16();
    // A straight slope has no edges but at its ends.
    assert!((10..246).all(|x| sharp[(x, 4)].0[0].abs_diff(gradient[(x, 4)].0[0]) <= 1));
}

#[test]
fn what_cannot_be_seen_does_not_bleed_into_what_can() {
    // Opaque red beside transparent green.
    let image = RgbaImage::from_fn(200, 20, |x, _| if x < 100 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) });
    let small = decode(&Engine::resize(png(image.clone()), 50, 5, Filter::Lanczos3).unwrap()).into_rgba8();
    for pixel in small.pixels().filter(|pixel| pixel.0[3] > 8) {
        assert!(pixel.0[0] > 240 && pixel.0[1] < 15, "{pixel:?}");
    }
    let sharp = decode(&Engine::sharpen(png(image.clone()), 3.0, 2.0).unwrap()).into_rgba8();
    assert!(sharp.pixels().zip(image.pixels()).all(|(a, b)| a.0[3] == b.0[3]), "alpha stays");
}

#[test]
fn the_smallest_images_work() {
    let one = png(RgbImage::from_pixel(1, 1, Rgb([9, 8, 7])));
    let wide = decode(&Engine::resize(one.clone(), 40, 3, Filter::Lanczos3).unwrap()).into_rgb8();
    assert!(wide.pixels().all(|pixel| *pixel == Rgb([9, 8, 7])));
    let same = decode(&Engine::sharpen(one, 10.0, 50.0).unwrap()).into_rgb8();
    assert_eq!(same.get_pixel(0, 0), &Rgb([9, 8, 7]));
}

#[test]
fn arguments_have_bounds() {
    let file = png(RgbImage::new(4, 4));
    for (width, height) in [(0, 4), (4, 0), (16_385, 4), (u32::MAX, u32::MAX)] {
        let result = Engine::resize(file.clone(), width, height, Filter::Nearest);
        assert!(matches!(result, Err(Error::BadArgument(_))), "{width} × {height}");
    }
    // Each side is allowed, the whole is not.
    assert!(matches!(Engine::resize(file.clone(), 16_384, 16_384, Filter::Nearest), Err(Error::TooLarge(_))));
    for (amount, radius) in [(-0.1, 1.0), (10.1, 1.0), (f32::NAN, 1.0), (1.0, 0.0), (1.0, 51.0), (1.0, f32::INFINITY)] {
        let result = Engine::sharpen(file.clone(), amount, radius);
        assert!(matches!(result, Err(Error::BadArgument(_))), "{amount} {radius}");
    }
    assert!(matches!(Engine::resize(b"no image".to_vec(), 1, 1, Filter::Nearest), Err(Error::NotPng(_))));
}

#[test]
fn the_free_functions_are_in_the_other_part() {
    assert!(matches!(Engine::probe(PHOTO_PNG.clone()), Err(Error::Elsewhere)));
    assert!(matches!(Engine::thumbnail(PHOTO_PNG.clone()), Err(Error::Elsewhere)));
}

#[test]
fn the_tolerance_tells_filters_apart() {
    let sharp = imageops::resize(&*PHOTO, 1024, 768, FilterType::Lanczos3);
    for other in [FilterType::Triangle, FilterType::Nearest] {
        let (mean, _) = differences(&sharp, &imageops::resize(&*PHOTO, 1024, 768, other));
        assert!(mean > 1.0, "{other:?}: {mean}");
    }
    let mut shifted = PHOTO.clone();
    imageops::replace(&mut shifted, &*PHOTO, 1, 0);
    let (mean, _) = differences(&sharp, &imageops::resize(&shifted, 1024, 768, FilterType::Lanczos3));
    assert!(mean > 1.0, "shifted by one of 3.2 pixels: {mean}");
}
