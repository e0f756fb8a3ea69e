//! The effective configuration, for people and machines. Secrets are masked.

use std::fmt;

use serde_json::{Map, Value as Json, json};

use super::check_store::URL;
use super::load::Effective;
use super::problem::{dotted, quoted};
use super::schema::Schema;
use super::tree::{Content, Node};
use store::{StoreKind, StoreUrl};

/// What is shown instead of a secret.
pub(super) const MASK: &str = "***";

/// Returns what may be shown of the value at `path`: a mask of a secret, and the address of a database without its password.
pub(super) fn shown(schema: &Schema, path: &[&str], value: &toml::Value) -> toml::Value {
    if schema.is_secret(path) {
        return MASK.into();
    }
    match address_of_database(path, value) {
        Some(url) => url.to_string().into(),
        None => value.clone(),
    }
}

/// Returns the address at `path` if it is that of a database, which may contain a password.
pub(super) fn address_of_database(path: &[&str], value: &toml::Value) -> Option<StoreUrl> {
    let url = StoreUrl::from(value.as_str().filter(|_| path == URL)?.to_owned());
    (url.kind() == StoreKind::Postgres).then_some(url)
}

impl Effective {
    /// Returns the configuration as TOML: first the file that was read, then each value with the place where it was
    /// written.
    pub fn show(&self) -> String {
        let mut text = format!("# {}\n", self.config.read_from());
        self.print(&self.tree, &mut Vec::new(), &mut text);
        text
    }

    /// `{"file": "/etc/bridge.toml", "config": {"server": {"listen": …}}, "origins": {"server.listen": "/etc/bridge.toml:2"}}`
    pub fn show_json(&self) -> Json {
        let mut origins = Map::new();
        let config = self.masked(&self.tree, &mut Vec::new(), &mut origins);
        json!({ "file": self.config.file, "config": config, "origins": origins })
    }

    fn print<'a>(&self, table: &'a Node, path: &mut Vec<&'a str>, text: &mut String) {
        let Content::Table(entries) = &table.content else { return };
        let is_table = |node: &Node| matches!(node.content, Content::Table(_));
        if !path.is_empty() && (entries.is_empty() || entries.values().any(|node| !is_table(node))) {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{}]\n", dotted(path)));
        }
        for (key, node) in entries {
            path.push(key);
            if let Content::Leaf(value) = &node.content {
                let value = shown(&self.schema, path, value);
                text.push_str(&format!("{} = {value}  # {}\n", quoted(key), node.origin));
            }
            path.pop();
        }
        for (key, node) in entries.iter().filter(|(_, node)| is_table(node)) {
            path.push(key);
            self.print(node, path, text);
            path.pop();
        }
    }

    fn masked<'a>(&self, node: &'a Node, path: &mut Vec<&'a str>, origins: &mut Map<String, Json>) -> Json {
        match &node.content {
            Content::Leaf(value) => {
                origins.insert(dotted(path), node.origin.to_string().into());
                serde_json::to_value(shown(&self.schema, path, value)).unwrap_or_default()
            }
            Content::Table(entries) => {
                let mut object = Map::new();
                for (key, node) in entries {
                    path.push(key);
                    object.insert(key.clone(), self.masked(node, path, origins));
                    path.pop();
                }
                Json::Object(object)
            }
        }
    }
}

impl fmt::Debug for Effective {
    /// Prints only the configuration, which masks its secrets; the tree has them in plain text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effective").field("config", &self.config).finish_non_exhaustive()
    }
}
