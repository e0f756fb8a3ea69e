//! Which logos are accepted, and how they are fitted.

use std::iter::repeat_n;

use png::{BitDepth, ColorType};

use super::*;
use crate::picture::png as encoder;

/// 100×50 pixels of one colour.
pub(crate) const JPEG: &[u8] = include_bytes!("tests/plain.jpg");

fn plain(width: u32, height: u32, colour: [u8; 4]) -> Vec<u8> {
    let mut picture = Picture::new((width, height));
    picture.pixels_mut().fill(colour);
    encoder::write(&picture).unwrap()
}

/// A PNG with 16 bits for each of red, green, blue and opacity.
fn wide(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Sixteen);
    let pixels: Vec<u8> = repeat_n([1, 2, 3, 4, 5, 6, 255, 255], 64 * 64).flatten().collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

#[test]
fn logo_keeps_its_proportions_and_the_rest_is_transparent() {
    for (own, room, fits) in [
        ((100, 100), (400, 272), (272, 272)),
        ((200, 100), (400, 272), (400, 200)),
        ((100, 300), (84, 84), (28, 84)),
        ((1000, 1), (84, 84), (84, 1)),
        ((400, 272), (400, 272), (400, 272)),
    ] {
        assert_eq!(fitted(own, room), fits, "{own:?} in {room:?}");
    }
    let logo = Logo::read(&plain(200, 50, [10, 200, 30, 255])).unwrap();
    let fitted = logo.fit((100, 100));
    assert_eq!(fitted.size(), (100, 100));
    for (x, y, colour) in
        [(0, 0, [0; 4]), (50, 36, [0; 4]), (0, 50, [10, 200, 30, 255]), (99, 40, [10, 200, 30, 255])]
    {
        assert_eq!(fitted.row(y)[x], colour, "{x},{y}");
    }
}

#[test]
fn colour_of_transparent_pixels_does_not_bleed() {
    let mut picture = Picture::new((64, 64));
    for row in picture.pixels_mut().chunks_mut(64) {
        row.fill([255, 0, 0, 0]);
        row[..31].fill([0, 0, 255, 255]);
    }
    let logo = Logo::read(&encoder::write(&picture).unwrap()).unwrap().fit((20, 20));
    for pixel in logo.pixels().iter().filter(|pixel| pixel[3] > 8) {
        assert!(pixel[0] < 16, "red shines through: {pixel:?}");
    }
}

#[test]
fn large_picture_is_reduced_when_it_is_read() {
    let logo = Logo::read(&plain(3_000, 1_500, [200, 10, 10, 255])).unwrap();
    assert_eq!(format!("{logo:?}"), "Logo(1024×512)");
    assert_eq!(logo.fit((84, 84)).row(42)[42], [200, 10, 10, 255]);
}

#[test]
fn jpeg_is_read() {
    let [red, green, _, alpha] = Logo::read(JPEG).unwrap().fit((84, 84)).row(42)[42];
    assert!(red > 190 && green < 30 && alpha == 255, "{red} {green} {alpha}");
}

#[test]
fn exif_orientation_of_a_jpeg_is_applied() {
    let mut jpeg = JPEG.to_vec();
    assert_eq!(format!("{:?}", Logo::read(&jpeg).unwrap()), "Logo(100×50)");
    // One entry in an EXIF block: orientation (0x0112) is 6, a quarter turn to the right.
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, exif.iter().copied());
    assert_eq!(format!("{:?}", Logo::read(&jpeg).unwrap()), "Logo(50×100)");
}

/// The CRC-32 of PNG.
fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[test]
fn picture_with_too_many_pixels_is_refused_before_decoding() {
    let wide = wide(64, 64);
    let narrow = plain(64, 64, [1, 2, 3, 254]);
    for (png, width, height, is_heavy) in [
        (&wide, 5_000_u32, 5_000_u32, true),
        (&wide, 2_900, 2_900, true),
        (&narrow, 5_000, 5_000, true),
        (&narrow, 4_100, 4_100, true),
        // Small enough to be read, but its pixels are missing.
        (&wide, 500, 500, false),
    ] {
        let mut png = png.clone();
        // The first chunk begins with width and height, after the signature, its length and its name.
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = crc(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        let read = Logo::read(&png);
        if is_heavy {
            assert_eq!(read, Err(LogoError::Heavy { width, height }));
        } else {
            assert!(matches!(read, Err(LogoError::Damaged(_))), "{read:?}");
        }
    }
}

#[test]
fn unusable_pictures_are_refused_with_the_reason() {
    let png = plain(64, 64, [1, 2, 3, 255]);
    for other in [&b""[..], b"<svg/>", b"GIF89a................", b"hello"] {
        assert_eq!(Logo::read(other), Err(LogoError::Kind), "{other:?}");
    }
    for (damaged, why) in [(&png[..png.len() / 2], "unexpected end of file"), (&JPEG[..20], "invalid JPEG: ")]
    {
        let Err(LogoError::Damaged(text)) = Logo::read(damaged) else { panic!("{why}") };
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(Logo::read(&plain(31, 8, [1, 2, 3, 255])), Err(LogoError::Size { width: 31, height: 8 }));
    assert_eq!(
        Logo::read(&plain(5_001, 1, [1, 2, 3, 255])),
        Err(LogoError::Size { width: 5_001, height: 1 })
    );
}
