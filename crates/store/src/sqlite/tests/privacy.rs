//! The page on privacy lists every column of every table.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const PAGE: &str = include_str!("../../../../../docs/privacy.md");

fn in_backticks(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

#[tokio::test]
async fn the_page_on_privacy_lists_every_column() {
    let home = Home::new();
    let _store = home.serve().await;
    let sql = "SELECT m.name, p.name FROM sqlite_schema m, pragma_table_xinfo(m.name) p \
               WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut home.raw().await).await.unwrap();
    let mut schema = BTreeMap::<String, BTreeSet<String>>::new();
    for (table, column) in columns {
        schema.entry(table).or_default().insert(column);
    }
    let mut listed = BTreeMap::<String, BTreeSet<String>>::new();
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| table |")).skip(2);
    for row in rows.map_while(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let table = in_backticks(cells.next().unwrap()).next().unwrap();
        for column in in_backticks(cells.next().unwrap()) {
            assert!(
                listed.entry(table.clone()).or_default().insert(column.clone()),
                "{table}.{column} twice"
            );
        }
    }
    assert_eq!(listed, schema, "the table in docs/privacy.md, and the schema");
}
