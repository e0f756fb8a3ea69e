//! A limit on the time of each call to the database. The server's own limits do not help if the network loses the answer.

use std::time::Duration;

use crate::StoreError;

/// The limit of a short statement outside a transaction, such as a check.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

/// Waits for `call`, but not longer than `limit`.
///
/// # Errors
/// `Timeout` after `limit`. The outcome is then unknown. Drop the connection: its next answer could be that of this call.
pub(crate) async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(StoreError::Timeout),
    }
}
