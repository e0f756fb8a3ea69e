//! What is deleted by age is deleted only when it is too old by the calendar and by the service time.

use super::jumps::{HOUR, THIRTY_DAYS, THREE_HOURS, maintain};
use super::*;

#[tokio::test]
async fn a_key_is_known_if_the_calendar_considers_its_token_valid_again() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    home.clock.set(START - THREE_HOURS);
    home.pass(HOUR);
    maintain(&home, &store, THIRTY_DAYS, 65).await;
    let again = home.repeated(&request);
    assert_eq!(store.jobs().accept(again, COMMIT_TIMEOUT).await, Ok(Accepted { id, duplicate: true }));
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_deletes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let sending = home.delivering(&store).await;
    let delivered = sending.id;
    store.jobs().sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
    store.close().await;
    home.restart(START + THIRTY_DAYS);
    let store = home.serve().await;
    maintain(&home, &store, Retention { jobs: 2 * HOUR, bodies: HOUR }, 70).await;
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert_eq!(state(&store, delivered).await, StateName::Delivered, "it keeps its bodies");
}
