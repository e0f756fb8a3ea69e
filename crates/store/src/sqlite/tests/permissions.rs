//! The owner and permissions of a store's files, and the links that are not followed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn opened(path: &Path) -> Result<Store, StoreError> {
    let clock = ManualClock::new(START).clock();
    Store::open(&format!("sqlite:{}", path.display()), Role::Owner, clock).await
}

#[tokio::test]
async fn files_and_folders_are_created_for_their_owner_only() {
    let home = Home::new();
    let store = home.folder.path().join("a/b/bridge.db");
    let open = opened(&store).await.unwrap();
    home.queued(&open).await;
    for (name, expected) in [
        ("a", 0o700),
        ("a/b", 0o700),
        ("a/b/bridge.db", 0o600),
        ("a/b/bridge.db-wal", 0o600),
        ("a/b/bridge.db-shm", 0o600),
        ("a/b/bridge.db.lock", 0o600),
    ] {
        assert_eq!(mode(&home.folder.path().join(name)), expected, "{name}");
    }
    open.close().await;
}

#[tokio::test]
async fn others_lose_access_to_an_existing_lock_file() {
    let home = Home::new();
    let lock = home.folder.path().join("bridge.db.lock");
    fs::write(&lock, "process 1\n").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
    home.serve().await.close().await;
    assert_eq!(mode(&lock), 0o600);
}

#[tokio::test]
async fn a_link_in_place_of_the_lock_is_not_followed() {
    for hard in [false, true] {
        let home = Home::new();
        let (precious, lock) =
            (home.folder.path().join("precious"), home.folder.path().join("bridge.db.lock"));
        fs::write(&precious, "data").unwrap();
        if hard {
            fs::hard_link(&precious, &lock).unwrap()
        } else {
            symlink(&precious, &lock).unwrap()
        }
        let error = home.open(Role::Owner).await.err().unwrap().to_string();
        assert!(error.contains("bridge.db.lock"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "data");
        assert!(!home.file().exists(), "the store was created without its lock");
    }
}

#[tokio::test]
async fn a_dangling_link_creates_no_store() {
    let home = Home::new();
    let target = home.folder.path().join("elsewhere.db");
    symlink(&target, home.file()).unwrap();
    let error = home.open(Role::Owner).await.err().unwrap();
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    assert!(error.to_string().contains("dangling link"), "{error}");
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 1, "something was created");
}

#[tokio::test]
async fn a_store_opened_through_a_link_has_its_lock_beside_the_file() {
    let home = Home::new();
    home.serve().await.close().await;
    let link = home.folder.path().join("link.db");
    symlink(home.file(), &link).unwrap();
    opened(&link).await.unwrap().close().await;
    assert!(!home.folder.path().join("link.db.lock").exists());
}

#[tokio::test]
async fn saving_at_the_stop_does_not_follow_a_link_in_place_of_the_store() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    fs::remove_file(home.file()).unwrap();
    let target = home.folder.path().join("elsewhere.db");
    symlink(&target, home.file()).unwrap();
    store.close().await;
    assert!(!target.exists(), "it was created through the link");
    let saved = home.folder.path().join("bridge.db.saved");
    assert_eq!(mode(&saved), 0o600);
    let saved = opened(&saved).await.unwrap();
    assert_eq!(state(&saved, id).await, StateName::Queued);
    saved.close().await;
}

/// If all users could open the lock file, another user may have locked it with `flock -s`. The error names that process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_error_names_the_current_holder_of_the_lock() {
    let home = Home::new();
    let lock = home.folder.path().join("bridge.db.lock");
    fs::write(&lock, "process 999999999\n").unwrap();
    let held = fs::File::open(&lock).unwrap();
    held.try_lock_shared().unwrap();
    let error = home.open(Role::Owner).await.err().unwrap();
    let owner = format!("process {}", std::process::id());
    assert_eq!(error, StoreError::InUse { path: home.file().display().to_string(), owner });
}
