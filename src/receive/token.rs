//! The token of a `widget_request`: a JWT that only the holder of an integration's secret can create.
//!
//! An [`Unverified`] token exposes only its signature. Its claims are available only from [`Unverified::verify`],
//! which checks the signature first. Tokens are verified once, at receipt. Their lifetime is undocumented, so nothing
//! later depends on it.

pub(super) mod claims;
pub(super) mod signer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use url::Url;

use super::faulty_value::FaultyValue;
use claims::{ClaimsError, TokenClaims};
use model::{AccountId, Entity, Timestamp};
use signer::{Algorithm, TokenSigner};

/// The maximum length of a token in bytes. Kommo's are shorter than a thousand.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The maximum difference between Kommo's clock and ours.
pub(super) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The alphabet of JWTs. They have no padding, but it is harmless.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A well-formed token whose signature is not verified yet.
pub(super) struct Unverified<'a> {
    /// Header and payload as received: the signed part.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
}

impl fmt::Debug for Unverified<'_> {
    /// Omits the token itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The contents of a valid token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verified {
    /// The name of the integration whose secret signed it.
    pub integration: Arc<str>,
    /// That integration's id in Kommo.
    pub client_uuid: String,
    /// The account's URL.
    pub iss: Url,
    /// The account.
    pub account_id: AccountId,
    /// The entity that the bot talks to.
    pub entity: Option<Entity>,
    /// The `jti`. Without one, the SHA-256 of the signed part, in hexadecimal. It excludes the signature, which can be
    /// encoded in several ways; any change of header or payload would require another signature.
    pub idempotency_key: String,
    /// When the token expires, clock skew included.
    pub expires_at: Timestamp,
}

impl<'a> Unverified<'a> {
    /// Splits a token into its parts.
    ///
    /// # Errors
    /// It is missing, too long, malformed, or signed with an algorithm that Kommo does not use.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        match token.len() {
            0 => return Err(TokenError::Missing),
            length if length > MAX_TOKEN_BYTES => return Err(TokenError::TooLong),
            _ => {}
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Shape)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Shape)?;
        if payload.contains('.') {
            return Err(TokenError::Shape);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Algorithm)?;
        let algorithm = match header.alg.as_str() {
            "HS512" => Algorithm::Hs512,
            "HS256" => Algorithm::Hs256,
            _ => return Err(TokenError::Algorithm),
        };
        // `crit` lists extensions that change what is signed; a verifier that knows none of them must refuse.
        if header.crit.is_some() {
            return Err(TokenError::Algorithm);
        }
        Ok(Self { signed, payload, signature: decode(signature)?, algorithm })
    }

    /// Checks signature, times, integration and, if `public_url` is set, audience, in this order.
    ///
    /// # Errors
    /// The first check that fails, with the claim at fault if the token is meant for someone else.
    pub(super) fn verify(
        self,
        accepted: &[TokenSigner],
        public_url: Option<&Url>,
        now: Timestamp,
    ) -> Result<Verified, InvalidToken> {
        // Several integrations may share a secret. The claims then decide which one signed the token.
        let signed =
            |signer: &&TokenSigner| signer.signed(self.algorithm, self.signed.as_bytes(), &self.signature);
        let mut signers = accepted.iter().filter(signed).peekable();
        if signers.peek().is_none() {
            return Err(TokenError::Signature.into());
        }
        let claims = TokenClaims::parse(&decode(self.payload)?).map_err(TokenError::Claims)?;
        let expires_at = claims.exp + MAX_CLOCK_SKEW;
        if now >= expires_at {
            return Err(TokenError::Expired.into());
        }
        if claims.nbf.is_some_and(|nbf| now + MAX_CLOCK_SKEW < nbf) {
            return Err(TokenError::NotYetValid.into());
        }
        let Some(integration) = signers.find(|integration| integration.is(&claims.client_uuid)) else {
            let faulty_value = FaultyValue::ClientUuid(claims.client_uuid);
            return Err(InvalidToken { error: TokenError::Integration, faulty_value: Some(faulty_value) });
        };
        if public_url.is_some_and(|public_url| !claims.is_for(public_url)) {
            let faulty_value = FaultyValue::Audience(claims.aud.join(" "));
            return Err(InvalidToken { error: TokenError::Audience, faulty_value: Some(faulty_value) });
        }
        Ok(Verified {
            integration: Arc::clone(integration.name()),
            client_uuid: claims.client_uuid,
            iss: claims.iss,
            account_id: claims.account_id,
            entity: claims.entity,
            idempotency_key: claims.jti.unwrap_or_else(|| hash(self.signed)),
            expires_at,
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<IgnoredAny>,
}

fn hash(signed: &str) -> String {
    Sha256::digest(signed).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64.decode(part).map_err(|_| TokenError::Shape)
}

/// A refused token, and the claim at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidToken {
    pub error: TokenError,
    /// For the log only. Contains only claims that a known secret signed.
    pub faulty_value: Option<FaultyValue>,
}

impl From<TokenError> for InvalidToken {
    fn from(error: TokenError) -> Self {
        Self { error, faulty_value: None }
    }
}

/// Why a token is refused. Contains nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// Absent or empty.
    #[error("the request has no token")]
    Missing,
    /// Longer than any that Kommo creates.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not three parts of base64url.
    #[error("the token is not a JWT")]
    Shape,
    /// Neither HS512 nor HS256.
    #[error("the token's signature algorithm is not HS512 or HS256")]
    Algorithm,
    /// No secret matches.
    #[error(
        "the token's signature matches no client_secret; compare integrations.NAME.client_secret with the integration's page in Kommo"
    )]
    Signature,
    /// Correctly signed, but with unusable claims.
    #[error("the token cannot be used: {0}")]
    Claims(ClaimsError),
    /// It is later than `exp` plus the clock skew.
    #[error("the token has expired; if this happens to all tokens, check this machine's clock")]
    Expired,
    /// It is earlier than `nbf` minus the clock skew.
    #[error("the token is not valid yet; if this happens to all tokens, check this machine's clock")]
    NotYetValid,
    /// Signed with a known secret, but for another integration.
    #[error("the token's client_uuid does not match the integration whose secret signed it")]
    Integration,
    /// Meant for another host.
    #[error("the token is not for this host: no `aud` has the scheme and host of server.public_url")]
    Audience,
}

impl TokenError {
    /// Whether the token is valid but meant for someone else, which is 403 instead of 401.
    pub(super) fn is_for_someone_else(self) -> bool {
        matches!(self, Self::Integration | Self::Audience)
    }
}

#[cfg(test)]
pub(super) mod tests;
