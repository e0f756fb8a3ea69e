//! Confirms the address of an installation that waits for an operator.

use kommo::GrantError;
use model::AccountId;
use store::Actor;

use super::connection::{ConnectError, Connected, ExchangeError};
use super::exchange::CodeSource;
use super::{Accounts, Installation};

impl Accounts {
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
        by: Actor,
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
                    return self.admit(&ready, redeemed, CodeSource::Operator, Some(by)).await;
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
