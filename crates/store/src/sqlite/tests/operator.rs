//! The jobs that an operator may cancel.

use super::*;
use crate::tests::operator::one_of_each;

#[tokio::test]
async fn any_unfinished_job_can_be_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    for (name, id) in one_of_each(&home, &store).await {
        let result = store.jobs().cancel(id).await;
        if name.is_finished() {
            let allowed = "only an unfinished job can be cancelled";
            assert_eq!(result, Err(StoreError::WrongState { id, state: name, allowed }));
            assert_eq!(state(&store, id).await, name);
        } else {
            assert_eq!((result, state(&store, id).await), (Ok(()), StateName::Cancelled));
        }
    }
    let held =
        home.number("SELECT count(*) FROM jobs WHERE due_at IS NOT NULL OR lease_until IS NOT NULL").await;
    assert_eq!(held, 0);
}
