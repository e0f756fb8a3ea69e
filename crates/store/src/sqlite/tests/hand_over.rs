//! The fast path: who is free gets the job from memory, and the store knows it as claimed.

use super::*;
use crate::tests::hand_over::Room;

#[tokio::test]
async fn the_place_is_given_back_if_the_transaction_fails() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(1);
    room.offers_itself_to(store.work());
    store
        .0
        .sql("CREATE TEMP TRIGGER no BEFORE INSERT ON main.jobs BEGIN SELECT raise(ABORT, 'no'); END")
        .await
        .unwrap();
    let request = home.request();
    let refused = store.jobs().accept(request.clone(), PATIENCE).await;
    assert_eq!(refused, Err(StoreError::Database("no".into())));
    assert_eq!((room.taken().len(), room.free()), (0, 1));
    store.0.sql("DROP TRIGGER no").await.unwrap();
    accept(&store, request).await;
    store.probe().await.unwrap();
    assert_eq!((room.taken().len(), room.free()), (1, 0));
}
