//! Installations that wait for an operator: which there are, and what confirming the address of one does.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use kommo::GrantError;
use model::{AccountId, Timestamp};
use store::{KeptCode, StoreError};

use super::connection::{ConnectError, Connected, ExchangeError};
use super::exchange::CodeSource;
use super::{Accounts, host};

/// Installations that wait, through one integration at one address. No code is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The address: scheme, host and port.
    #[serde(skip)]
    pub origin: Arc<str>,
    /// Its host, with its port if that is not the scheme's own.
    pub host: String,
    /// The name or, if it is not configured any more, the id of the integration.
    pub integration: String,
    /// How many codes wait. More than one, if someone else calls with this address too.
    pub codes: usize,
    /// When the newest one came.
    pub received_at: Timestamp,
    /// Until when the newest one can be confirmed.
    pub expires_at: Timestamp,
    /// The integration's id.
    #[serde(skip)]
    pub client_uuid: Arc<str>,
}

impl Accounts {
    /// The installations that wait, by host.
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

    /// An operator confirms the address of an installation: its codes are exchanged there, the newest one first, until Kommo
    /// takes one. The integration's secret goes to that address. `accept` is asked whether the account that the address names
    /// is the one that is meant.
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
                // Someone made it up, or it was used: the next one may be the installation's.
                Err(error @ (GrantError::Dead { .. } | GrantError::Refused { status: 400, .. })) => {
                    refused = error.into();
                }
                // The trouble is not the code's.
                Err(error) => {
                    self.put_back(&ready, &kept, &code).await.map_err(ConnectError::Store)?;
                    return Err(error.into());
                }
            }
        }
        Err(refused)
    }
}
