//! The fast path: a free worker or sender gets the job from memory, already claimed in the store.

use super::*;
use crate::tests::hand_over::Room;

#[tokio::test]
async fn a_failed_transaction_gives_the_permit_back() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(1);
    room.offers_itself_to(store.work());
    store
        .sqlite()
        .sql("CREATE TEMP TRIGGER no BEFORE INSERT ON main.jobs BEGIN SELECT raise(ABORT, 'no'); END")
        .await
        .unwrap();
    let request = home.request();
    let refused = store.jobs().accept(request.clone(), COMMIT_TIMEOUT).await;
    assert_eq!(refused, Err(StoreError::Database("no".into())));
    assert_eq!((room.taken().len(), room.free()), (0, 1));
    store.sqlite().sql("DROP TRIGGER no").await.unwrap();
    accept(&store, request).await;
    store.probe().await.unwrap();
    assert_eq!((room.taken().len(), room.free()), (1, 0));
}
