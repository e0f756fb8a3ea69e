//! The values in effect as a list, for a page. Secrets are masked.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::dotted;
use super::schema::Schema;
use super::show::{MASK, shown};
use super::tree::{Content, Node, Origin};
use crate::listed_setting::{ListedSetting, SettingOrigin};

/// Lists the values of `tree`, ordered by key. `defaults` has the defaults of the same keys.
pub(super) fn list(tree: &Node, defaults: &Node, schema: &Schema) -> Vec<ListedSetting> {
    let mut list = List { defaults, schema, texts: BTreeSet::new(), found: Vec::new() };
    list.add(tree, &mut Vec::new());
    list.found
}

struct List<'a> {
    defaults: &'a Node,
    schema: &'a Schema,
    /// Texts that many values share: thousands of accounts have the same keys.
    texts: BTreeSet<Arc<str>>,
    found: Vec<ListedSetting>,
}

impl List<'_> {
    fn add<'n>(&mut self, node: &'n Node, path: &mut Vec<&'n str>) {
        match &node.content {
            Content::Table(entries) => {
                for (key, node) in entries {
                    path.push(key);
                    self.add(node, path);
                    path.pop();
                }
            }
            Content::Leaf(value) => {
                let is_secret = self.schema.is_secret(path);
                let default = self.defaults.get(path).and_then(|node| match &node.content {
                    Content::Leaf(value) if !is_secret => Some(value.to_string()),
                    Content::Leaf(_) | Content::Table(_) => None,
                });
                let about = self.schema.description(path).map(|about| self.shared(about));
                let section = self.shared(path.first().copied().unwrap_or_default());
                self.found.push(ListedSetting {
                    section,
                    key: dotted(path),
                    value: if is_secret {
                        MASK.to_owned()
                    } else {
                        shown(self.schema, path, value).to_string()
                    },
                    default,
                    origin: origin(&node.origin),
                    about,
                    secret_file: None,
                });
            }
        }
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }
}

fn origin(origin: &Origin) -> SettingOrigin {
    match origin {
        Origin::BuiltIn => SettingOrigin::Default,
        Origin::File { .. } | Origin::Text { .. } => SettingOrigin::File(origin.to_string()),
        Origin::Environment { variable } => SettingOrigin::Environment(variable.to_string()),
    }
}
