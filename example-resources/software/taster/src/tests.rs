//! The free functions, on a photograph of 8 megapixels and on images made for a test.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};

use crate::Taster;
use crate::bindings::exports::pixelforge::resize::images::{Error, Filter, Guest};

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn decode(png: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(png, ImageFormat::Png).unwrap().into_rgb8()
}

#[test]
fn a_thumbnail_shows_the_photograph() {
    let jpeg = include_bytes!("../../../picture/assets/full.jpg");
    let photo = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().into_rgb8();
    let small = decode(&Taster::thumbnail(png(photo.clone())).unwrap());
    assert_eq!(small.dimensions(), (160, 120));
    let reference = imageops::resize(&photo, 160, 120, FilterType::Triangle);
    let sum: u64 = small.iter().zip(reference.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = sum as f64 / small.len() as f64;
    assert!(mean < 6.0, "{mean}");
}

#[test]
fn an_image_that_fits_keeps_its_size() {
    let image = RgbImage::from_fn(160, 3, |x, y| Rgb([x as u8, y as u8, 7]));
    assert!(decode(&Taster::thumbnail(png(image.clone())).unwrap()) == image);
}

#[test]
fn a_line_stays_a_line() {
    let image = RgbImage::from_pixel(3_000, 1, Rgb([1, 2, 3]));
    let small = decode(&Taster::thumbnail(png(image)).unwrap());
    assert_eq!(small.dimensions(), (160, 1));
    assert!(small.pixels().all(|pixel| *pixel == Rgb([1, 2, 3])));
}

#[test]
fn sixteen_bits_become_eight() {
    let image: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(2, 2, Luma([0xabcd]));
    let small = image::load_from_memory(&Taster::thumbnail(png(image)).unwrap()).unwrap();
    let DynamicImage::ImageLuma8(small) = small else { panic!("{:?}", small.color()) };
    assert!(small.pixels().all(|pixel| pixel.0 == [0xab]));
}

#[test]
fn probing_tells_what_an_image_is() {
    let properties = Taster::probe(png(RgbImage::new(7, 5))).unwrap();
    assert_eq!((properties.width, properties.height, properties.channels, properties.depth), (7, 5, 3, 8));
    assert!(matches!(Taster::probe(b"no image".to_vec()), Err(Error::NotPng(_))));
}

#[test]
fn what_is_sold_is_not_in_here() {
    let file = png(RgbImage::new(2, 2));
    assert!(matches!(Taster::resize(file.clone(), 1, 1, Filter::Nearest), Err(Error::Elsewhere)));
    assert!(matches!(Taster::sharpen(file, 1.0, 1.0), Err(Error::Elsewhere)));
}
