//! The requests of a run: signed in advance, written when they are sent.
//!
//! A batch stores only the signatures, 64 bytes each. The rest of a request follows from its number, so a
//! million requests do not exhaust the memory of the machine.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::ledger::Ledger;
use super::sink::Sink;
use super::token::{Integration, SIGNATURE_BYTES, Tokens, write_signature};

/// `data` of each request, as PHP writes it.
const DATA: &str = "&data%5Bmessage%5D=How+much+is+the+blue+one%3F&data%5Blead%5D%5Bid%5D=31764961\
                    &data%5Blead%5D%5Bname%5D=Ann";
/// The bot that sends all requests.
const BOT: u32 = 6_511;

/// The bridge's public listener and a handler of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address of the listener.
    pub address: SocketAddr,
    /// The path to call, like `/widget_request/echo`.
    pub path: String,
    /// `scheme://host` of the bridge, claim `aud` of the tokens.
    pub audience: String,
}

impl Target {
    /// The handler `echo` of the bridge at this address.
    #[must_use]
    pub fn echo(address: SocketAddr) -> Self {
        Self { address, path: "/widget_request/echo".to_owned(), audience: format!("http://{address}") }
    }
}

/// Signed requests for one bridge, from one or several accounts in rotation.
pub struct Batch {
    target: Target,
    accounts: Vec<PerAccount>,
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
    seed: u64,
    ledger: Arc<Ledger>,
}

struct PerAccount {
    tokens: Tokens,
    /// The end of the body without the id of the continue, percent-encoded.
    return_url: String,
}

/// A buffer for requests, reused by one connection.
#[derive(Default)]
pub(super) struct RequestBuffer {
    body: String,
    /// Head and body of the last written request.
    pub(super) request: String,
}

impl Batch {
    /// Signs `requests` requests and makes the sinks expect their continues. Request `n` belongs to the account of
    /// sink `n % sinks.len()`.
    ///
    /// # Panics
    /// `sinks` is empty.
    #[must_use]
    pub fn sign(integration: &Integration, sinks: &[&Sink], target: &Target, requests: usize) -> Arc<Self> {
        assert!(!sinks.is_empty(), "a request needs a sink for its continue");
        // Ids fit into 53 bits, as every JSON reader requires, and differ between runs.
        let ledger = Arc::new(Ledger::new(fastrand::u64(1_000_000..1 << 47), requests));
        let accounts = sinks.iter().filter_map(|sink| {
            let account = sink.account();
            let (iss, aud) = (sink.origin(), &target.audience);
            let tokens = Tokens::new(integration, &iss, aud, account.id, &account.subdomain)?;
            let origin = iss.replace(':', "%3A").replace('/', "%2F");
            let return_url = format!("&return_url={origin}%2Fapi%2Fv4%2Fsalesbot%2F{BOT}%2Fcontinue%2F");
            Some(PerAccount { tokens, return_url })
        });
        let mut batch = Self {
            target: target.clone(),
            accounts: accounts.collect(),
            signatures: Vec::with_capacity(requests),
            seed: fastrand::u64(..),
            ledger: ledger.clone(),
        };
        let mut text = String::new();
        for index in 0..requests {
            text.clear();
            let tokens = &batch.accounts[index % batch.accounts.len()].tokens;
            tokens.write_signed_part(batch.jti(index), &mut text);
            batch.signatures.push(tokens.sign(&text));
        }
        for sink in sinks {
            sink.expect(ledger.clone());
        }
        Arc::new(batch)
    }

    /// The ledger of its requests.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signatures.len()
    }

    /// Whether there are no requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// The target of its requests.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Writes request `index`, head and body.
    pub(super) fn write(&self, index: usize, buffer: &mut RequestBuffer) {
        let RequestBuffer { body, request } = buffer;
        let account = &self.accounts[index % self.accounts.len()];
        body.clear();
        body.push_str("token=");
        account.tokens.write_signed_part(self.jti(index), body);
        write_signature(&self.signatures[index], body);
        body.push_str(DATA);
        body.push_str(&account.return_url);
        request.clear();
        // Writing to a string cannot fail.
        let _infallible = write!(body, "{}", self.ledger.id(index));
        let _infallible = write!(
            request,
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n",
            self.target.path,
            self.target.address,
            body.len()
        );
        request.push_str(body);
    }

    /// The `jti` of a request. It is as random as Kommo's, so that an index over it costs as much as in production.
    fn jti(&self, index: usize) -> u128 {
        let number = self.ledger.id(index);
        u128::from(mixed(number ^ self.seed)) << 64 | u128::from(mixed(number.wrapping_add(self.seed)))
    }
}

/// The finalizer of SplitMix64, a bijection.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
