//! The six images, read back from a package.

use super::*;
use crate::check;
use crate::picture::{Picture, png};

/// Kommo's requirements.
const REQUIRED: [(&str, u32, u32); 6] = [
    ("logo.png", 130, 100),
    ("logo_main.png", 400, 272),
    ("logo_small.png", 108, 108),
    ("logo_medium.png", 240, 84),
    ("logo_min.png", 84, 84),
    ("logo_dp.png", 174, 109),
];

fn pictures(draft: Draft) -> Vec<Picture> {
    let files = files(draft);
    let read = |(name, width, height): (&str, u32, u32)| {
        let bytes = &files[&format!("images/{name}")];
        assert!(bytes.len() <= 300 * 1024, "{name}: {} bytes", bytes.len());
        let picture = png::read(bytes).unwrap();
        assert_eq!(picture.size(), (width, height), "{name}");
        picture
    };
    REQUIRED.map(read).into()
}

fn named(name: &str) -> Draft {
    Draft { name: Some(name.to_owned()), ..draft() }
}

#[test]
fn drawn_logo_fills_each_size_and_has_a_white_bubble() {
    for picture in pictures(named("Sales")) {
        let (width, height) = picture.size();
        assert!(picture.pixels().iter().all(|pixel| pixel[3] == 255), "opaque");
        let white = picture.pixels().iter().filter(|pixel| **pixel == [255; 4]).count();
        let share = f64::from(u32::try_from(white).unwrap()) / f64::from(width * height);
        assert!((0.08..0.6).contains(&share), "{width}×{height}: {share} of it is white");
        assert_ne!(picture.pixels().first(), picture.pixels().last(), "a gradient");
    }
}

#[test]
fn colour_of_a_drawn_logo_depends_on_the_name() {
    let corner = |name: &str| pictures(named(name))[0].pixels()[0];
    assert_eq!(corner("Sales"), corner("Sales"));
    let mut colours: Vec<_> = ["Sales", "Support", "Echo", "Greet"].map(corner).into();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!(colours.len(), 4);
}

#[test]
fn supplied_logo_keeps_its_proportions_in_each_size() {
    let mut logo = Picture::new((600, 200));
    logo.pixels_mut().fill([12, 140, 90, 255]);
    let pictures = pictures(Draft { logo: Some(png::write(&logo).unwrap()), ..draft() });
    for picture in pictures {
        let (width, height) = picture.size();
        let middle = usize::try_from(width / 2).unwrap();
        assert_eq!(picture.row(height / 2)[middle], [12, 140, 90, 255]);
        // Three times as wide as high: transparent bars at top and bottom, or at the sides if the image is wider.
        let high = picture.pixels().iter().filter(|pixel| pixel[3] == 255).count();
        let expected = if width < 3 * height { width * width / 3 } else { 3 * height * height };
        let off = f64::from(u32::try_from(high).unwrap()) / f64::from(expected);
        assert!((0.97..1.03).contains(&off), "{width}×{height}: {off}");
        if width < 3 * height {
            assert_eq!(picture.pixels()[0][3], 0, "transparent around it");
        }
    }
}

#[test]
fn package_with_a_noisy_logo_passes_the_check() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut noise = Picture::new((800, 544));
    noise.bytes_mut().iter_mut().for_each(|channel| *channel = random.u8(..));
    let draft = Draft { logo: Some(png::write(&noise).unwrap()), ..draft() };
    assert_eq!(check(&build(&spec(draft)).unwrap()), []);
}
