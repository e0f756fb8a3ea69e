//! The lanes in memory, by which the rooms know the store without querying it.

use super::*;
use crate::sqlite::jobs::lane_reload::ReloadLanesIfChanged;

#[tokio::test]
async fn lanes_are_reloaded_only_after_a_change_by_another_process() {
    let home = Home::new();
    let store = home.serve().await;
    let seen = store.sqlite().execute(ReloadLanesIfChanged { seen: None }).await.unwrap();
    home.queued(&store).await;
    // The next reload removes an entry that is only in memory.
    store.work().add("only in memory", home.now(), None);
    let is_known = || store.work().due(home.now()).contains(&"only in memory".into());
    assert_eq!(store.sqlite().execute(ReloadLanesIfChanged { seen }).await.unwrap(), seen);
    assert!(is_known());
    home.run("UPDATE jobs SET answer_by = answer_by + 1").await;
    assert_ne!(store.sqlite().execute(ReloadLanesIfChanged { seen }).await.unwrap(), seen);
    assert!(!is_known());
}
