//! Tests of whole packages: from the description to the files that Kommo sees.

mod archive;
mod breaks;
mod breaks_script;
mod drafts;
mod logos;
mod manifest;
mod scripts;

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::sync::OnceLock;

use serde_json::{Value as Json, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::engine::{self, Observed};
use super::{Draft, Spec, build, script};

const URL: &str = "https://bridge.example.com/widget_request/greet";

fn draft() -> Draft {
    Draft { url: URL.to_owned(), ..Draft::default() }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn spec(draft: Draft) -> Spec {
    draft.check().unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The names and contents of a package's files.
type Files = BTreeMap<String, Vec<u8>>;

fn unpacked(archive: &[u8]) -> Files {
    let mut zip = ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut entry = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn packed(files: &Files) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn files(draft: Draft) -> Files {
    unpacked(&build(&spec(draft)).unwrap())
}

/// The files of the package of [`draft`]. Built once, because the images take a while.
fn plain() -> Files {
    static PLAIN: OnceLock<Files> = OnceLock::new();
    PLAIN.get_or_init(|| files(draft())).clone()
}

fn script_of(draft: Draft) -> String {
    script::script(&spec(draft)).unwrap()
}

fn json_of(files: &Files, name: &str) -> Json {
    serde_json::from_slice(&files[name]).unwrap()
}

/// Runs the script of a package with the values that a user entered in the bot designer.
fn observe(draft: Draft, params: &Json) -> Observed {
    engine::observe(script_of(draft).as_bytes(), "greet", params, &json!({})).unwrap()
}

/// The steps that the bot then runs.
fn saved(draft: Draft, params: &Json) -> Json {
    let observed = observe(draft, params);
    assert!(observed.thrown.is_empty(), "{:?}", observed.thrown);
    serde_json::from_str(observed.returned["onSalesbotDesignerSave"].as_str().unwrap()).unwrap()
}

/// The data that the bot then sends.
fn data(draft: Draft, params: &Json) -> Json {
    saved(draft, params)[0]["question"][0]["params"]["data"].clone()
}
