//! The nonce of a process. With it, `doctor` recognizes this bridge behind its public address, and commands recognize the
//! bridge that serves their store.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Two random values, new in each process. The admin listener shows both. The public listener shows the answer only to a
/// caller that names the challenge. The public therefore learns nothing, not even when the bridge was restarted, and a
/// program that repeats what it gets is not taken for the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Nonce {
    /// What a caller of the public listener has to name.
    challenge: String,
    /// What the public listener answers.
    answer: String,
    /// A hash of `challenge` and the place of the store, so that a command recognizes the bridge that serves its store.
    #[serde(default)]
    store: String,
}

impl Nonce {
    /// Makes a nonce of random bytes for a process that serves the store at `store`, which only that store has.
    pub fn new(challenge: [u8; 16], answer: [u8; 16], store: &str) -> Self {
        let challenge = hex::encode(challenge);
        let store = mark(&challenge, store);
        Self { challenge, answer: hex::encode(answer), store }
    }

    /// Whether the process serves the store at `place`; `None` if it does not say which store it serves.
    #[cfg(feature = "cli")]
    pub fn serves(&self, place: &str) -> Option<bool> {
        (!self.store.is_empty()).then(|| self.store == mark(&self.challenge, place))
    }

    /// What a caller of the public listener has to name.
    #[cfg(feature = "cli")]
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// What the public listener returns for `challenge`; `None` if it is not the challenge of this process.
    pub fn answer_to(&self, challenge: &str) -> Option<&str> {
        (challenge == self.challenge).then_some(self.answer.as_str())
    }
}

/// The hash for the store at `place`. The challenge makes it new in each process, so it does not reveal the place.
fn mark(challenge: &str, place: &str) -> String {
    let hash = Sha256::new().chain_update(challenge).chain_update(place);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_challenge_gets_the_answer() {
        let nonce = Nonce::new([1; 16], [2; 16], "/a.db");
        assert_eq!(nonce.answer_to(&"01".repeat(16)), Some("02".repeat(16).as_str()));
        for wrong in ["", "01", &"02".repeat(16), &"01".repeat(17)] {
            assert_eq!(nonce.answer_to(wrong), None, "{wrong}");
        }
    }
}
