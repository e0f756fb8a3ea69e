//! Installations that wait for an operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use model::Timestamp;
use store::{KeptCode, StoreError};

use super::{Accounts, host};

/// The waiting installations of one integration at one address. Contains no code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The address: scheme, host and port.
    #[serde(skip)]
    pub origin: Arc<str>,
    /// Its host, with the port unless it is the scheme's default.
    pub host: String,
    /// The integration's name, or its id if it is no longer configured.
    pub integration: String,
    /// The number of waiting codes. More than one if someone else also calls with this address.
    pub codes: usize,
    /// When the newest code arrived.
    pub received_at: Timestamp,
    /// When the newest code expires, and can no longer be confirmed.
    pub expires_at: Timestamp,
    /// The integration's id.
    #[serde(skip)]
    pub client_uuid: Arc<str>,
}

impl Accounts {
    /// Returns the waiting installations, sorted by host.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn installations(&self) -> Result<Vec<Installation>, StoreError> {
        let Some(store) = &self.0.parts.store else { return Ok(Vec::new()) };
        let mut waiting: BTreeMap<(Arc<str>, Arc<str>), Installation> = BTreeMap::new();
        for kept in store.oauth().kept_codes().await? {
            let KeptCode { client_uuid, origin, received_at, expires_at, .. } = kept;
            let name = self.integration(&client_uuid).map_or(&*client_uuid, |known| &known.name);
            let first = || Installation {
                origin: origin.clone(),
                host: host(&origin).to_owned(),
                integration: name.to_owned(),
                codes: 0,
                received_at,
                expires_at,
                client_uuid: client_uuid.clone(),
            };
            waiting.entry((origin.clone(), client_uuid.clone())).or_insert_with(first).codes += 1;
        }
        Ok(waiting.into_values().collect())
    }
}
