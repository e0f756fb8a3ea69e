//! An image file after reading only its header, which says how much memory decoding needs.

use super::{Orientation, Picture, Size, jpeg, png};

/// An image file that is not decoded yet.
pub(crate) struct Packed<'a> {
    file: File<'a>,
    size: Size,
    pixel_bytes: u64,
    orientation: Orientation,
}

enum File<'a> {
    Png(Box<png::Reader<'a>>),
    Jpeg(jpeg::File<'a>),
}

impl<'a> Packed<'a> {
    /// Reads the header of a PNG or JPEG. Decoding a PNG may take `memory` bytes in addition to the pixels.
    ///
    /// # Errors
    /// The bytes are in neither format, or damaged.
    pub(crate) fn open(bytes: &'a [u8], memory: u64) -> Result<Self, Unreadable> {
        if bytes.starts_with(png::SIGNATURE) {
            let reader = png::open(bytes, memory)?;
            let (size, pixel_bytes) = (reader.info().size(), png::pixel_bytes(&reader));
            let exif = reader.info().exif_metadata.as_deref();
            let orientation = exif.map_or(Orientation::UPRIGHT, Orientation::of_exif);
            Ok(Self { file: File::Png(Box::new(reader)), size, pixel_bytes, orientation })
        } else if bytes.starts_with(jpeg::SIGNATURE) {
            let (file, size, orientation) = jpeg::open(bytes)?;
            Ok(Self { pixel_bytes: file.pixel_bytes(size), file: File::Jpeg(file), size, orientation })
        } else {
            Err(Unreadable::Unsupported)
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The size of the decoded pixels in bytes, with the file's number of colours.
    pub(crate) fn pixel_bytes(&self) -> u64 {
        self.pixel_bytes
    }

    /// The orientation of the camera. [`unpack`](Self::unpack) does not apply it.
    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Decodes the pixels.
    ///
    /// # Errors
    /// The file is damaged.
    pub(crate) fn unpack(self) -> Result<Picture, Unreadable> {
        match self.file {
            File::Png(reader) => png::unpack(*reader),
            File::Jpeg(file) => file.unpack(self.size),
        }
    }
}

/// Why an image file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is in another format, or a rare kind of JPEG.
    #[error("the image format is not supported")]
    Unsupported,
    /// It ends too early.
    #[error("{0}")]
    Io(#[source] std::io::Error),
    /// It is not a valid PNG.
    #[error("invalid PNG: {0}")]
    Png(#[source] ::png::DecodingError),
    /// It is not a valid JPEG.
    #[error("invalid JPEG: {0}")]
    Jpeg(#[source] zune_jpeg::errors::DecodeErrors),
    /// Decoding takes more memory than allowed.
    #[error("decoding takes too much memory")]
    Memory,
    /// Its header states more pixels than an image can have.
    #[error("the image has too many pixels")]
    Dimensions,
}

impl Unreadable {
    /// The pixels do not have the size that the header states.
    pub(super) fn incomplete() -> Self {
        Self::Io(std::io::ErrorKind::UnexpectedEof.into())
    }
}

impl From<::png::DecodingError> for Unreadable {
    fn from(error: ::png::DecodingError) -> Self {
        match error {
            ::png::DecodingError::IoError(error) => Self::Io(error),
            ::png::DecodingError::LimitsExceeded => Self::Memory,
            error => Self::Png(error),
        }
    }
}

impl From<zune_jpeg::errors::DecodeErrors> for Unreadable {
    fn from(error: zune_jpeg::errors::DecodeErrors) -> Self {
        match error {
            zune_jpeg::errors::DecodeErrors::Unsupported(_) => Self::Unsupported,
            zune_jpeg::errors::DecodeErrors::LargeDimensions(_) => Self::Dimensions,
            error => Self::Jpeg(error),
        }
    }
}
