//! Tests of what is written, replaced and kept.

use std::os::unix::fs::PermissionsExt;

use super::super::answers::HandlerKind;
use super::super::render::files;
use super::super::render::tests::{RANDOM, answers, token};
use super::*;

fn changes(folder: &Path, public_url: &str) -> Vec<Change> {
    let answers = answers(HandlerKind::Echo, token("https://shop.kommo.com"), public_url);
    files(&answers, &RANDOM).into_iter().map(|file| Change::of(file, folder).unwrap()).collect()
}

fn statuses(changes: &[Change]) -> Vec<(&str, &str)> {
    changes.iter().map(|change| (change.file.name.as_str(), change.status.as_str())).collect()
}

#[test]
fn secrets_are_only_for_their_owner_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("new/folder");
    let written = changes(&below, "https://bots.example.com");
    assert!(written.iter().all(|change| change.status == Status::New));
    assert!(write(&below, &written).is_ok());
    let mode = |name: &str| fs::metadata(below.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("main.secret"), mode("shop.token")], [0o600; 2]);
    let mut names: Vec<String> = fs::read_dir(&below)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".gitignore", "bridge.toml", "main.secret", "shop.token"]);
    assert_eq!(
        statuses(&changes(&below, "https://bots.example.com")),
        [
            ("main.secret", "unchanged"),
            ("shop.token", "unchanged"),
            (".gitignore", "unchanged"),
            ("bridge.toml", "unchanged")
        ]
    );
}

#[test]
fn differences_name_keys_and_no_earlier_value() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = "store.url = \"sqlite:data/bridge.db\"\nadmin.token = \"hidden\"\n\
                   server.public_url = \"https://hidden.example.com\"\n";
    fs::write(folder.path().join(CONFIG), earlier).unwrap();
    fs::write(folder.path().join("main.secret"), "hidden").unwrap();
    fs::write(folder.path().join("shop.token"), "7d2b9f").unwrap();
    fs::write(folder.path().join(".gitignore"), "own\n").unwrap();
    let changes = changes(folder.path(), "https://bots.example.com");
    assert_eq!(
        statuses(&changes),
        [
            ("main.secret", "replaced"),
            ("shop.token", "unchanged"),
            (".gitignore", "kept"),
            ("bridge.toml", "replaced")
        ]
    );
    assert_eq!(changes[0].differences(), ["holds another secret"]);
    let found = changes[3].differences().join("\n");
    for part in [
        "admin.token would go",
        "server.public_url would become \"https://bots.example.com\"",
        "integrations.main.client_secret_file = \"main.secret\" would be added",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    assert!(!found.contains("hidden") && !found.contains("store.url"), "{found}");
    fs::write(folder.path().join(CONFIG), "hidden =").unwrap();
    let broken = super::tests::changes(folder.path(), "https://bots.example.com");
    assert_eq!(broken[3].differences(), ["is not TOML, and everything in it would go"]);
}

#[test]
fn nothing_is_written_if_the_result_would_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut changes = changes(folder.path(), "https://bots.example.com");
    changes.iter_mut().find(|change| change.file.name == "shop.token").unwrap().file.bytes = b" \n".to_vec();
    let error = format!("{:?}", write(folder.path(), &changes).err().unwrap());
    assert!(error.contains("status: 2") && error.contains("shop.token is empty"), "{error}");
    assert!(!error.contains(".init-"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn only_regular_files_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    let error = Change::of(NewFile::public("a", "x"), folder.path()).unwrap_err();
    assert!(format!("{error:?}").contains("is not a regular file"), "{error:?}");
}
