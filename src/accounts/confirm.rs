//! Installations that wait for an operator: list them, and confirm the address of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use kommo::GrantError;
use model::{AccountId, Timestamp};
use store::{KeptCode, StoreError};

use super::connection::{ConnectError, Connected, ExchangeError};
use super::exchange::CodeSource;
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

    /// Completes an installation whose address an operator has confirmed: exchanges its codes there, newest first,
    /// until Kommo accepts one. This sends the integration's secret to that address. `accept` decides whether the
    /// account that the address names is the intended one.
    ///
    /// # Errors
    /// No account was connected.
    pub async fn confirm(
        &self,
        installation: &Installation,
        mut accept: impl FnMut(AccountId) -> bool,
    ) -> Result<Connected, ConnectError> {
        let integration = self.integration(&installation.client_uuid);
        let ready = self.ready(integration.ok_or(ConnectError::UnknownIntegration)?)?;
        let url = self.origin_of(&installation.origin)?;
        let mut refused = ConnectError::Code(ExchangeError::NoCode);
        for kept in ready.store.oauth().kept_codes().await.map_err(ConnectError::Store)? {
            if (&kept.client_uuid, &kept.origin) != (&installation.client_uuid, &installation.origin) {
                continue;
            }
            let code = self.take(ready.store, ready.sealer, &kept).await.map_err(ConnectError::Store)?;
            let Some(code) = code else { continue };
            match self.redeem(&ready, url.clone(), &code, CodeSource::Operator).await {
                Ok(redeemed) if accept(redeemed.account_id) => {
                    return self.admit(&ready, redeemed, CodeSource::Operator).await;
                }
                Ok(redeemed) => return Err(ConnectError::Declined(redeemed.account_id)),
                // The code is forged or already used; the next one may be genuine.
                Err(error @ (GrantError::Dead { .. } | GrantError::Refused { status: 400, .. })) => {
                    refused = error.into();
                }
                // The code is not the problem.
                Err(error) => {
                    self.put_back(&ready, &kept, &code).await.map_err(ConnectError::Store)?;
                    return Err(error.into());
                }
            }
        }
        Err(refused)
    }
}
