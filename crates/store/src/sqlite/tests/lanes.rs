//! What the rooms know of the store without asking it.

use super::*;
use crate::sqlite::jobs::lane_reload::ReloadLanesIfChanged;

#[tokio::test]
async fn lanes_are_read_again_only_after_another_process_changed_something() {
    let home = Home::new();
    let store = home.serve().await;
    let seen = store.0.execute(ReloadLanesIfChanged { seen: None }).await.unwrap();
    home.queued(&store).await;
    // What memory alone knows is gone after the next reading.
    store.work().add("only in memory", home.now(), None);
    let is_known = || store.work().due(home.now()).contains(&"only in memory".into());
    assert_eq!(store.0.execute(ReloadLanesIfChanged { seen }).await.unwrap(), seen);
    assert!(is_known());
    home.run("UPDATE jobs SET answer_by = answer_by + 1").await;
    assert_ne!(store.0.execute(ReloadLanesIfChanged { seen }).await.unwrap(), seen);
    assert!(!is_known());
}
