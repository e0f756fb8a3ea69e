//! Checks that the table of actions in `docs/operations.md` names every route of the API that changes something. Pages run
//! the same functions.

use std::collections::BTreeSet;
use std::io;

use crate::{read, rust_files};

/// The methods that change something, as descriptions name them.
const METHODS: [&str; 4] = ["post", "put", "patch", "delete"];

/// The routes of the API in a Rust file that change something, as their descriptions name them: `POST /api/v1/jobs/retry`.
fn routes(text: &str) -> Vec<String> {
    let described = text.split("#[utoipa::path(").skip(1).filter_map(|attribute| {
        let (method, rest) = attribute.split_once(',')?;
        let path = rest.split_once("path = \"")?.1.split('"').next()?;
        METHODS.contains(&method).then(|| format!("{} {path}", method.to_uppercase()))
    });
    described.collect()
}

#[test]
fn each_route_that_changes_something_is_in_the_table_of_actions() -> io::Result<()> {
    let files = rust_files("src/admin")?;
    let code = files.iter().filter(|(path, _)| !path.contains("tests"));
    let changing: BTreeSet<String> = code.flat_map(|(_, text)| routes(text)).collect();
    assert!(changing.contains("POST /api/v1/jobs/{id}/cancel"), "found only {changing:?}");
    let page = read("docs/operations.md")?;
    let section = page.split("\n## ").find(|section| section.starts_with("Who did what\n"));
    let table = section.into_iter().flat_map(str::lines).filter(|line| line.starts_with("| `"));
    let named = table.flat_map(|row| row.split('`').skip(1).step_by(2));
    let documented: BTreeSet<String> =
        named.filter(|text| text.contains(" /api/")).map(str::to_owned).collect();
    assert_eq!(documented, changing, "left: docs/operations.md, right: src/admin");
    Ok(())
}

#[test]
fn routes_are_found_with_their_methods() {
    let text = r#"
        #[utoipa::path(get, path = "/a", tag = x)]
        #[utoipa::path(post, path = "/b/{id}", tag = x)]
        #[utoipa::path(delete, path = "/c")]"#;
    assert_eq!(routes(text), ["POST /b/{id}", "DELETE /c"]);
}
