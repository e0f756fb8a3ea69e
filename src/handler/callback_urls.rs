//! The URLs at which the answer of a job is accepted later, and their tokens.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::Url;

use model::{JobId, url_below};

/// Separates these tokens from anything else that the key may ever sign.
const LABEL: &[u8] = b"callback-v1";
/// The length of a token: 128 bits, which cannot be guessed.
const TOKEN_BYTES: usize = 16;

/// Makes the URLs of callbacks: `BASE/callback/JOB/TOKEN`.
///
/// There is one token for each job, not for each attempt. It is derived from the job's id and a random key in the store, so
/// it survives restarts, and a change of other secrets does not invalidate it.
pub(crate) struct CallbackUrls {
    /// `server.callback_url`; `None` if the configuration has no address for callbacks.
    base: Option<Url>,
    key: [u8; 32],
}

impl CallbackUrls {
    /// URLs below `base`, with tokens from `key`.
    pub(crate) const fn new(base: Option<Url>, key: [u8; 32]) -> Self {
        Self { base, key }
    }

    /// The URL for the answer of `job`; `None` if neither `server.callback_url` nor `server.public_url` is set. It is
    /// secret, because anyone who knows it can answer the job.
    pub(crate) fn url(&self, job: JobId) -> Option<SecretString> {
        let base = self.base.as_ref()?;
        let path = format!("/callback/{job}/{}", self.token(job).expose_secret());
        Some(url_below(base, &path).to_string().into())
    }

    /// Whether `token` is the token of `job`. Takes the same time for every wrong token.
    pub(crate) fn fits(&self, job: JobId, token: &str) -> bool {
        self.token(job).expose_secret().as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// `text` without the token of `job`, which a handler may repeat in an error.
    pub(crate) fn without_token(&self, job: JobId, text: &str) -> String {
        text.replace(self.token(job).expose_secret(), "…")
    }

    /// The token of `job`.
    pub(crate) fn token(&self, job: JobId) -> SecretString {
        // A key of any length is valid.
        #[expect(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(LABEL);
        mac.update(job.as_uuid().as_bytes());
        let code = mac.finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode(code.get(..TOKEN_BYTES).unwrap_or(&code)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn job(random: u128) -> JobId {
        JobId::new(Timestamp::from_millis(1_796_000_000_000), random)
    }

    #[test]
    fn a_url_names_the_job_and_a_token_that_fits_no_other() {
        let urls = CallbackUrls::new(Some("https://bots.example.com/bridge".parse().unwrap()), [7; 32]);
        let url = urls.url(job(1)).unwrap();
        let (rest, token) = url.expose_secret().rsplit_once('/').unwrap();
        assert_eq!(rest, format!("https://bots.example.com/bridge/callback/{}", job(1)));
        assert_eq!(token.len(), 22);
        assert!(urls.fits(job(1), token));
        assert_eq!(urls.without_token(job(1), &format!("POST {token} failed")), "POST … failed");
        assert!(!urls.fits(job(2), token));
        for wrong in ["", "x", &token[1..], &format!("{token}x")] {
            assert!(!urls.fits(job(1), wrong), "{wrong}");
        }
        assert!(!CallbackUrls::new(None, [8; 32]).fits(job(1), token), "another key");
    }

    #[test]
    fn without_an_address_there_is_no_url() {
        assert!(CallbackUrls::new(None, [7; 32]).url(job(1)).is_none());
    }
}
