//! A handler that orders from a slow shop. It shows an idempotency key, `retry_after`, and cancellation.
//!
//! ```sh
//! BRIDGE_CONFIG=bridge.toml cargo run --example slow_backend
//! ```

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use salesbot_bridge::prelude::*;
use salesbot_bridge::{CancellationToken, JobId};
use tracing::Instrument;

struct OrderHandler {
    shop: Shop,
}

#[derive(Deserialize)]
struct Order {
    article: String,
}

impl Handler for OrderHandler {
    type Input = Order;

    async fn handle(&self, request: Request<Order>, ctx: Context) -> Result<Completion, HandlerError> {
        // The job's id is the same in each attempt, so the shop recognizes a repeated order.
        let order = place(self.shop.clone(), ctx.job_id(), request.data.article, ctx.cancelled().clone());
        // A spawned task outlives the handler's future: only the token ends it.
        let ordered = tokio::spawn(order.in_current_span()).await;
        // The text of a `JoinError` contains the message of a panic, which may quote a customer.
        let number = ordered.map_err(|_| "the task of the order panicked").or_retry()??;
        Ok(Completion::success().data("order", number))
    }
}

/// Places the order, unless the attempt ends first.
async fn place(
    shop: Shop,
    key: JobId,
    article: String,
    cancelled: CancellationToken,
) -> Result<usize, HandlerError> {
    let ordered = cancelled.run_until_cancelled(shop.order(key, &article)).await;
    ordered.ok_or("the attempt is over").or_retry()?.map_err(decide)
}

/// A busy shop says when to retry, and the network may be back at any time. An unknown article stays unknown.
fn decide(error: ShopError) -> HandlerError {
    match error {
        ShopError::Busy { retry_after } => HandlerError::retry_after(retry_after, error),
        ShopError::Unreachable(_) => HandlerError::retry(error),
        ShopError::UnknownArticle(_) => HandlerError::fail(error),
    }
}

/// A fake client of the shop's API.
#[derive(Clone, Default)]
struct Shop {
    orders: Arc<Mutex<HashMap<JobId, usize>>>,
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("the shop is busy")]
    Busy { retry_after: Duration },
    #[error("cannot reach the shop")]
    Unreachable(#[from] io::Error),
    #[error("the shop does not sell `{0}`")]
    UnknownArticle(String),
}

impl Shop {
    /// Places one order per key, and returns its number.
    async fn order(&self, key: JobId, article: &str) -> Result<usize, ShopError> {
        match article {
            "everything" => return Err(ShopError::UnknownArticle(article.to_owned())),
            "tickets" => return Err(ShopError::Busy { retry_after: Duration::from_secs(5) }),
            "cable" => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            "patience" => std::future::pending().await,
            _ => {}
        }
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let next = orders.len() + 1;
        Ok(*orders.entry(key).or_insert(next))
    }
}

#[tokio::main]
async fn main() -> Result<(), bridge::Error> {
    Bridge::from_env()?.handler("order", OrderHandler { shop: Shop::default() }).serve().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "01975f3c-0000-7000-8000-000000000001";
    const SECOND: &str = "01975f3c-0000-7000-8000-000000000002";

    async fn order(shop: &Shop, key: &str, article: &str) -> Result<usize, HandlerError> {
        place(shop.clone(), key.parse().unwrap(), article.to_owned(), CancellationToken::new()).await
    }

    #[tokio::test]
    async fn second_attempt_of_a_job_places_no_second_order() {
        let shop = Shop::default();
        for (key, number) in [(FIRST, 1), (FIRST, 1), (SECOND, 2)] {
            assert_eq!(order(&shop, key, "a book").await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn each_error_of_the_shop_says_whether_to_retry() {
        for (article, is_retryable, delay) in [
            ("tickets", true, Some(Duration::from_secs(5))),
            ("cable", true, None),
            ("everything", false, None),
        ] {
            let error = order(&Shop::default(), FIRST, article).await.unwrap_err();
            assert_eq!((error.is_retryable(), error.retry_delay()), (is_retryable, delay), "{article}");
        }
    }

    #[tokio::test]
    async fn order_ends_with_its_attempt() {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let ordered = place(Shop::default(), FIRST.parse().unwrap(), "patience".to_owned(), cancelled).await;
        assert_eq!(ordered.unwrap_err().to_string(), "the attempt is over");
    }
}
