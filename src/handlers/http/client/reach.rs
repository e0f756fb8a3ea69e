//! Connects without a request, for `doctor`.

use std::error::Error;

use tower::BoxError;
use tower::util::AndThenLayer;
use url::Url;

use kommo::{Reason, system_lookup};
use model::{Outgoing, error_chain};

use super::{CONNECT_TIMEOUT, CallError, HttpClient, builder, refused};

impl HttpClient {
    /// Connects to `url` as a call would, with TLS, and sends no request.
    ///
    /// # Errors
    /// It cannot be connected to. The text has all causes.
    pub(in crate::handlers::http) async fn reach(url: &Url, outgoing: &Outgoing) -> Result<(), String> {
        if let Some(refused) = refused(url) {
            return Err(error_chain(&CallError::Refused(refused)));
        }
        // An error after the connection is made keeps the request from being sent.
        let stop = AndThenLayer::new(async |connection| {
            drop(connection);
            Err(BoxError::from(Connected))
        });
        let built = builder(system_lookup(), url, outgoing, CONNECT_TIMEOUT)
            .and_then(|builder| builder.connector_layer(stop).timeout(2 * CONNECT_TIMEOUT).build());
        let client = built.map_err(|error| error_chain(&Reason::from(error)))?;
        match client.head(url.clone()).send().await {
            Err(error) if has_cause::<Connected>(&error) => Ok(()),
            Err(error) => Err(error_chain(&Reason::from(error))),
            Ok(_) => Ok(()),
        }
    }
}

/// Not an error: a connection was made, and that was all.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connected")]
struct Connected;

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}
