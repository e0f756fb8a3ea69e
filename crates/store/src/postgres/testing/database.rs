//! A database for one test.

use super::admin::Admin;

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
    admin: Admin,
    waits: bool,
}

impl Database {
    /// `waits`: the server lives on when the test process ends, so nothing may be left behind.
    pub(super) const fn new(url: String, name: String, admin: Admin, waits: bool) -> Self {
        Self { url, name, admin, waits }
    }

    /// Its address, for `store.url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.admin.drop(&self.name, self.waits);
    }
}
