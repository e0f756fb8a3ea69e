//! The files that contain a configuration's secrets, for a check of their permissions.
//!
//! The configuration file itself is one of them if it contains a secret. A secret in an environment variable has no
//! file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::check_store::URL;
use super::load::Effective;
use super::show::address_of_database;
use super::tree::{Content, Node, Origin};

impl Effective {
    /// Returns each file that contains a secret.
    pub fn secret_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        self.gather(&self.tree, &mut Vec::new(), &mut files);
        files
    }

    fn gather<'a>(&self, node: &'a Node, path: &mut Vec<&'a str>, files: &mut BTreeSet<PathBuf>) {
        match &node.content {
            Content::Table(entries) => {
                for (key, node) in entries {
                    path.push(key);
                    self.gather(node, path, files);
                    path.pop();
                }
            }
            Content::Leaf(value) => {
                let Some((last, table)) = path.split_last() else { return };
                let is_secret = |path: &[&str]| self.schema.is_secret(path) || path == URL;
                if self.schema.is_secret(path) || address_of_database(path, value).is_some() {
                    if let Origin::File { file, .. } = &node.origin {
                        files.insert(file.to_path_buf());
                    }
                } else if let (Some(twin), Some(named)) = (last.strip_suffix("_file"), value.as_str())
                    && is_secret(&[table, &[twin]].concat())
                {
                    files.insert(node.origin.resolve(Path::new(named)));
                }
            }
        }
    }
}
