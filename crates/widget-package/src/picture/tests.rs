//! Pictures read from each kind of file, turned and resized.

use super::*;

/// Six pixels in two rows, each with another red value.
fn six() -> Picture {
    let pixels = (1..=6).flat_map(|red| [red, 0, 0, 255]).collect();
    Picture::of((3, 2), pixels).unwrap()
}

fn reds(picture: &Picture) -> Vec<Vec<u8>> {
    (0..picture.size().1).map(|y| picture.row(y).iter().map(|pixel| pixel[0]).collect()).collect()
}

/// EXIF data with one entry, of either byte order.
fn exif(is_little_endian: bool, tag: u16, orientation: u16) -> Vec<u8> {
    let short = |value: u16| if is_little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if is_little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut exif = if is_little_endian { b"II".to_vec() } else { b"MM".to_vec() };
    exif.extend(short(42));
    exif.extend(long(8));
    for value in [1, tag, 3] {
        exif.extend(short(value));
    }
    exif.extend(long(1));
    exif.extend(short(orientation));
    exif.extend([0; 2]);
    exif
}

#[test]
fn picture_is_turned_by_each_exif_orientation() {
    for (number, expected) in [
        (1, &[&[1, 2, 3][..], &[4, 5, 6]][..]),
        (2, &[&[3, 2, 1], &[6, 5, 4]]),
        (3, &[&[6, 5, 4], &[3, 2, 1]]),
        (4, &[&[4, 5, 6], &[1, 2, 3]]),
        (5, &[&[1, 4], &[2, 5], &[3, 6]]),
        (6, &[&[4, 1], &[5, 2], &[6, 3]]),
        (7, &[&[6, 3], &[5, 2], &[4, 1]]),
        (8, &[&[3, 6], &[2, 5], &[1, 4]]),
        (0, &[&[1, 2, 3], &[4, 5, 6]]),
        (9, &[&[1, 2, 3], &[4, 5, 6]]),
    ] {
        for is_little_endian in [false, true] {
            let exif = exif(is_little_endian, 0x0112, number);
            assert_eq!(reds(&six().turned(Orientation::of_exif(&exif))), expected, "{number}");
        }
    }
}

#[test]
fn exif_without_an_orientation_is_upright() {
    let whole = exif(false, 0x0112, 6);
    assert_ne!(Orientation::of_exif(&whole), Orientation::UPRIGHT);
    let other = exif(false, 0x0113, 6);
    let far = [b"MM\0\x2a", &[0xff; 4][..]].concat();
    for exif in [&b""[..], b"II", b"hello, hello", &other, &far, &whole[..18]] {
        assert_eq!(Orientation::of_exif(exif), Orientation::UPRIGHT, "{exif:?}");
    }
}

#[test]
fn every_kind_of_png_is_read() {
    use ::png::{BitDepth, ColorType};
    for (colour, depth, bytes, expected) in [
        (ColorType::Grayscale, BitDepth::One, &[0x80][..], [255, 255, 255, 255]),
        (ColorType::Grayscale, BitDepth::Eight, &[7], [7, 7, 7, 255]),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 9], [7, 7, 7, 9]),
        (ColorType::Indexed, BitDepth::Four, &[0x10], [4, 5, 6, 255]),
        (ColorType::Rgb, BitDepth::Eight, &[1, 2, 3], [1, 2, 3, 255]),
        (ColorType::Rgba, BitDepth::Sixteen, &[1, 128, 1, 130, 2, 0, 255, 255], [1, 2, 2, 255]),
    ] {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, 1, 1);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(&[1, 2, 3, 4, 5, 6][..]);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        assert_eq!(png::read(&file).unwrap().pixels(), [expected], "{colour:?} {depth:?}");
    }
}

#[test]
fn written_png_reads_back_unchanged() {
    let mut transparent = six();
    transparent.pixels_mut()[4] = [9, 8, 7, 6];
    for picture in [six(), transparent] {
        let written = png::write(&picture).unwrap();
        assert!(png::read(&written).unwrap() == picture);
        assert_eq!(png::size(&written).unwrap(), (3, 2));
    }
}

#[test]
fn resizing_keeps_plain_colours_and_the_mean() {
    let mut plain = Picture::new((40, 30));
    plain.pixels_mut().fill([12, 140, 90, 255]);
    let mut halves = Picture::new((40, 30));
    halves.pixels_mut().chunks_mut(40).for_each(|row| row[..20].fill([200, 0, 0, 255]));
    for kernel in [Kernel::Triangle, Kernel::Lanczos3] {
        for size in [(7, 5), (1, 1), (40, 30), (90, 3), (80, 60)] {
            let resized = plain.resized(size, kernel);
            assert_eq!(resized.size(), size);
            assert!(resized.pixels().iter().all(|pixel| *pixel == [12, 140, 90, 255]), "{size:?}");
        }
        assert_eq!(reds(&halves.resized((1, 1), kernel)), [[100]], "{kernel:?}");
        assert_eq!(reds(&halves.resized((4, 1), Kernel::Triangle))[0][0], 200);
    }
}
