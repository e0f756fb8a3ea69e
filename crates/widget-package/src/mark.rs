//! The default logo: a speech bubble with a bridge in it.
//!
//! The colour depends on the widget's name. So the widgets of an account look different, and a new version of a
//! widget looks like the old one.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point,
    SpreadMode, Stroke, Transform,
};

use super::picture::Picture;

/// The share of the shorter side that the bubble takes. It is larger in small pictures, so that the bridge stays clear.
const fn share(side: f32) -> f32 {
    if side < 150.0 { 0.84 } else { 0.74 }
}

/// Draws the logo for `name` in the middle of a picture of this size; `None` if a side is 0.
pub(super) fn draw(name: &str, width: u32, height: u32) -> Option<Picture> {
    let mut canvas = Pixmap::new(width, height)?;
    let hue = hue_of(name);
    let (light, dark) = (colour(hue, 0.72, 0.55), colour(hue + 34.0, 0.78, 0.34));
    let (right, bottom) = (pixels(width), pixels(height));

    let shader = LinearGradient::new(
        Point::zero(),
        Point::from_xy(right, bottom),
        vec![GradientStop::new(0.0, light), GradientStop::new(1.0, dark)],
        SpreadMode::Pad,
        Transform::identity(),
    )?;
    let ground = PathBuilder::from_rect(tiny_skia::Rect::from_xywh(0.0, 0.0, right, bottom)?);
    fill(&mut canvas, &ground, &Paint { shader, ..Paint::default() }, Transform::identity());
    // Two faint discs, cut off by the edges, so that a wide picture has more than the bubble.
    let side = right.min(bottom);
    for (x, y, radius, opacity) in
        [(right * 0.96, bottom * 0.02, 0.62, 0.10), (right * 0.04, bottom, 0.45, 0.08)]
    {
        let disc = PathBuilder::from_circle(x, y, radius * side)?;
        fill(&mut canvas, &disc, &plain(Color::from_rgba(1.0, 1.0, 1.0, opacity)?), Transform::identity());
    }

    // The bubble is drawn in a square of 100 units.
    let unit = side * share(side) / 100.0;
    let place = Transform::from_row(
        unit,
        0.0,
        0.0,
        unit,
        (right - 100.0 * unit) / 2.0,
        (bottom - 100.0 * unit) / 2.0,
    );
    let shadow = place.pre_translate(0.0, 3.0);
    let bubble = bubble()?;
    fill(&mut canvas, &bubble, &plain(Color::from_rgba(0.0, 0.0, 0.0, 0.16)?), shadow);
    fill(&mut canvas, &bubble, &plain(Color::WHITE), place);
    let ink = plain(colour(hue + 20.0, 0.78, 0.40));
    for (path, thickness) in [(deck()?, 7.0), (arch()?, 6.0), (hangers()?, 4.0)] {
        let stroke = Stroke { width: thickness, line_cap: LineCap::Round, ..Stroke::default() };
        canvas.stroke_path(&path, &ink, &stroke, place, None);
    }
    Picture::of((width, height), canvas.take_demultiplied())
}

/// A rounded box with a tail at its lower left.
fn bubble() -> Option<Path> {
    let (left, top, right, bottom, round) = (3.0, 8.0, 97.0, 78.0, 20.0);
    // The distance of a Bézier curve's control points from the corner, for a quarter of a circle.
    let off = round * 0.447_715_3;
    let mut path = PathBuilder::new();
    path.move_to(left + round, top);
    path.line_to(right - round, top);
    path.cubic_to(right - off, top, right, top + off, right, top + round);
    path.line_to(right, bottom - round);
    path.cubic_to(right, bottom - off, right - off, bottom, right - round, bottom);
    path.line_to(48.0, bottom);
    path.quad_to(38.0, 92.0, 22.0, 94.0);
    path.quad_to(29.0, 87.0, 27.0, bottom);
    path.line_to(left + round, bottom);
    path.cubic_to(left + off, bottom, left, bottom - off, left, bottom - round);
    path.line_to(left, top + round);
    path.cubic_to(left, top + off, left + off, top, left + round, top);
    path.close();
    path.finish()
}

fn deck() -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(17.0, 58.0);
    path.line_to(83.0, 58.0);
    path.finish()
}

fn arch() -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(22.0, 58.0);
    path.quad_to(50.0, -4.0, 78.0, 58.0);
    path.finish()
}

fn hangers() -> Option<Path> {
    let mut path = PathBuilder::new();
    for (x, top) in [(36.0, 35.0), (50.0, 27.0), (64.0, 35.0)] {
        path.move_to(x, top);
        path.line_to(x, 58.0);
    }
    path.finish()
}

fn fill(canvas: &mut Pixmap, path: &Path, paint: &Paint<'_>, place: Transform) {
    canvas.fill_path(path, paint, FillRule::Winding, place, None);
}

fn plain(colour: Color) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(colour);
    paint
}

/// The hue of a name in degrees, from its FNV-1a hash.
fn hue_of(name: &str) -> f32 {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let degrees = (hash ^ (hash >> 15)) % 360;
    u16::try_from(degrees).map_or(0.0, f32::from)
}

/// The colour with this hue (in degrees), saturation and lightness.
fn colour(hue: f32, saturation: f32, lightness: f32) -> Color {
    let chroma = saturation * lightness.min(1.0 - lightness);
    let channel = |shift: f32| {
        let at = (shift + hue.rem_euclid(360.0) / 30.0) % 12.0;
        (lightness - chroma * (at - 3.0).min(9.0 - at).clamp(-1.0, 1.0)).clamp(0.0, 1.0)
    };
    Color::from_rgba(channel(0.0), channel(8.0), channel(4.0), 1.0).unwrap_or(Color::BLACK)
}

fn pixels(side: u32) -> f32 {
    u16::try_from(side).map_or(f32::from(u16::MAX), f32::from)
}
