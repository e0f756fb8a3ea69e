//! The nonce of a process. With it, `doctor` recognizes this bridge behind its public address.

use serde::{Deserialize, Serialize};

/// Two random values, new in each process. The admin listener shows both. The public listener shows the answer only to a
/// caller that names the challenge. The public therefore learns nothing, not even when the bridge was restarted, and a
/// program that repeats what it gets is not taken for the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Nonce {
    /// What a caller of the public listener has to name.
    challenge: String,
    /// What the public listener answers.
    answer: String,
}

impl Nonce {
    /// Makes a nonce of random bytes.
    pub fn new(challenge: [u8; 16], answer: [u8; 16]) -> Self {
        Self { challenge: hex::encode(challenge), answer: hex::encode(answer) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_challenge_gets_the_answer() {
        let nonce = Nonce::new([1; 16], [2; 16]);
        assert_eq!(nonce.answer_to(&"01".repeat(16)), Some("02".repeat(16).as_str()));
        for wrong in ["", "01", &"02".repeat(16), &"01".repeat(17)] {
            assert_eq!(nonce.answer_to(wrong), None, "{wrong}");
        }
    }
}
