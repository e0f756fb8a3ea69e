//! Resizes a picture: first along columns, then along rows.
//!
//! Each new pixel is a weighted mean of the old pixels around its position. To shrink a picture, the weights reach
//! further in proportion, so that every old pixel counts.

use super::{Picture, Size, length};

/// How the weights decrease with distance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernel {
    /// Linear: soft and fast.
    Triangle,
    /// With a ring of negative weights: sharp.
    Lanczos3,
}

impl Kernel {
    /// The distance at which the weights become 0.
    const fn reach(self) -> f32 {
        match self {
            Self::Triangle => 1.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn weight(self, distance: f32) -> f32 {
        match self {
            _ if distance.abs() >= self.reach() => 0.0,
            Self::Triangle => 1.0 - distance.abs(),
            Self::Lanczos3 => sinc(distance) * sinc(distance / 3.0),
        }
    }
}

fn sinc(at: f32) -> f32 {
    let at = at * std::f32::consts::PI;
    if at == 0.0 { 1.0 } else { at.sin() / at }
}

/// The weighted mean for one new pixel: the first old pixel, and the weights from there on, whose sum is 1.
struct Mean {
    first: usize,
    weights: Vec<f32>,
}

/// The means for resizing one side from `old` to `new` pixels.
fn means(old: u32, new: u32, kernel: Kernel) -> Vec<Mean> {
    let ratio = side(old) / side(new);
    let scale = ratio.max(1.0);
    let reach = kernel.reach() * scale;
    let mean = |at: u32| {
        let middle = (side(at) + 0.5) * ratio;
        let first = index((middle - reach).floor()).min(length(old).saturating_sub(1));
        let end = index((middle + reach).ceil()).clamp(first + 1, length(old).max(first + 1));
        let middle = middle - 0.5;
        let mut weights: Vec<f32> =
            (first..end).map(|pixel| kernel.weight((place(pixel) - middle) / scale)).collect();
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Mean { first, weights }
    };
    (0..new).map(mean).collect()
}

impl Picture {
    /// Resizes the picture to `size`. Its colours must be premultiplied by opacity.
    pub(crate) fn resized(&self, size: Size, kernel: Kernel) -> Self {
        if size == self.size {
            return self.clone();
        }
        let width = length(self.size.0);
        let across = means(self.size.0, size.0, kernel);
        let mut resized = Self::new(size);
        let mut row = vec![[0.0_f32; 4]; width];
        let rows = resized.pixels_mut().chunks_exact_mut(length(size.0).max(1));
        for (pixels, down) in rows.zip(means(self.size.1, size.1, kernel)) {
            row.fill([0.0; 4]);
            for (old, weight) in self.pixels().chunks_exact(width.max(1)).skip(down.first).zip(&down.weights)
            {
                for (sum, pixel) in row.iter_mut().zip(old) {
                    add(sum, pixel.map(f32::from), *weight);
                }
            }
            for (pixel, mean) in pixels.iter_mut().zip(&across) {
                let mut sum = [0.0; 4];
                for (old, weight) in row.iter().skip(mean.first).zip(&mean.weights) {
                    add(&mut sum, *old, *weight);
                }
                *pixel = sum.map(channel);
            }
        }
        resized
    }
}

fn add(sum: &mut [f32; 4], pixel: [f32; 4], weight: f32) {
    for (sum, channel) in sum.iter_mut().zip(pixel) {
        *sum += channel * weight;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is within 0..=255")]
fn channel(value: f32) -> u8 {
    value.clamp(0.0, 255.0).round() as u8
}

/// The value as an index; 0 if it is negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is not negative, and no side is that long"
)]
fn index(value: f32) -> usize {
    value.max(0.0) as usize
}

/// A number of pixels as a `f32`, which holds every possible side.
fn side(pixels: u32) -> f32 {
    place(length(pixels))
}

fn place(index: usize) -> f32 {
    u16::try_from(index).map_or(f32::from(u16::MAX), f32::from)
}
