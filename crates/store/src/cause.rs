//! The system's or the database's error behind a failure of the store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The cause of a [`StoreError`](crate::StoreError): its text, and the underlying error if there is one. Cheap to clone.
/// Two causes are equal if their texts are equal.
///
/// [`source`](Error::source) skips the underlying error, because the text already contains its message. So a chain of
/// sources prints each message once. [`error`](Self::error) returns the underlying error.
#[derive(Clone)]
pub struct Cause(Arc<Inner>);

struct Inner {
    text: String,
    error: Option<Box<dyn Error + Send + Sync>>,
}

impl Cause {
    /// Wraps `error`, with its own message as the text.
    pub(crate) fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        Self::with(error.to_string(), error)
    }

    /// Wraps `error`, with `text` in place of its message.
    pub(crate) fn with(text: String, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(Inner { text, error: Some(error.into()) }))
    }

    /// The underlying error, to match on; `None` if the store itself found the fault.
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error.as_deref().map(|error| error as _)
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self(Arc::new(Inner { text, error: None }))
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error().and_then(Error::source)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Cause {}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::StoreError;

    #[test]
    fn underlying_error_is_reachable_and_printed_once() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::from(sqlx::Error::Io(full()));
        assert_eq!(error, StoreError::Database(full().to_string().into()), "causes are equal by their text");
        assert_eq!(error.to_string(), format!("the store failed: {}", full()));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<Cause>()).unwrap();
        let kind = cause.error().and_then(|error| error.downcast_ref::<io::Error>()).unwrap().kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
        assert!(error.to_string().contains(&cause.to_string()) && cause.source().is_none());
    }
}
