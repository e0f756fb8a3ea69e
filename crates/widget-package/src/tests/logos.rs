//! The six pictures, as they are read back from a package.

use image::{DynamicImage, ImageFormat, RgbaImage};

use super::*;
use crate::check;

/// As Kommo wants them.
const WANTED: [(&str, u32, u32); 6] = [
    ("logo.png", 130, 100),
    ("logo_main.png", 400, 272),
    ("logo_small.png", 108, 108),
    ("logo_medium.png", 240, 84),
    ("logo_min.png", 84, 84),
    ("logo_dp.png", 174, 109),
];

fn pictures(draft: Draft) -> Vec<RgbaImage> {
    let files = files(draft);
    let read = |(name, width, height): (&str, u32, u32)| {
        let bytes = &files[&format!("images/{name}")];
        assert!(bytes.len() <= 300 * 1024, "{name}: {} bytes", bytes.len());
        assert_eq!(image::guess_format(bytes).unwrap(), ImageFormat::Png, "{name}");
        let picture = image::load_from_memory(bytes).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), (width, height), "{name}");
        picture
    };
    WANTED.map(read).into()
}

fn png(image: RgbaImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn named(name: &str) -> Draft {
    Draft { name: Some(name.to_owned()), ..draft() }
}

#[test]
fn a_drawn_logo_fills_each_size_and_has_a_white_bubble_in_its_middle() {
    for picture in pictures(named("Sales")) {
        let (width, height) = picture.dimensions();
        assert!(picture.pixels().all(|pixel| pixel.0[3] == 255), "opaque");
        let white = picture.pixels().filter(|pixel| pixel.0 == [255; 4]).count();
        let share = f64::from(u32::try_from(white).unwrap()) / f64::from(width * height);
        assert!((0.08..0.6).contains(&share), "{width}×{height}: {share} of it is white");
        assert_ne!(picture.get_pixel(0, 0), picture.get_pixel(width - 1, height - 1), "a gradient");
    }
}

#[test]
fn the_colour_of_a_drawn_logo_belongs_to_the_name() {
    let corner = |name: &str| *pictures(named(name))[0].get_pixel(0, 0);
    assert_eq!(corner("Sales"), corner("Sales"));
    let mut colours: Vec<_> = ["Sales", "Support", "Echo", "Greet"].map(corner).map(|pixel| pixel.0).into();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!(colours.len(), 4);
}

#[test]
fn an_own_logo_is_in_each_size_with_its_proportions() {
    let mut logo = RgbaImage::new(600, 200);
    logo.pixels_mut().for_each(|pixel| pixel.0 = [12, 140, 90, 255]);
    let pictures = pictures(Draft { logo: Some(png(logo)), ..draft() });
    for picture in pictures {
        let (width, height) = picture.dimensions();
        assert_eq!(picture.get_pixel(width / 2, height / 2).0, [12, 140, 90, 255]);
        // Three times as wide as high: bars at top and bottom, or at the sides of the widest.
        let high = picture.pixels().filter(|pixel| pixel.0[3] == 255).count();
        let expected = if width < 3 * height { width * width / 3 } else { 3 * height * height };
        let off = f64::from(u32::try_from(high).unwrap()) / f64::from(expected);
        assert!((0.97..1.03).contains(&off), "{width}×{height}: {off}");
        if width < 3 * height {
            assert_eq!(picture.get_pixel(0, 0).0[3], 0, "transparent around it");
        }
    }
}

#[test]
fn a_photograph_of_noise_still_makes_a_package_that_kommo_takes() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut noise = RgbaImage::new(800, 544);
    noise.iter_mut().for_each(|channel| *channel = random.u8(..));
    let draft = Draft { logo: Some(png(noise)), ..draft() };
    assert_eq!(check(&build(&spec(draft)).unwrap()), []);
}
