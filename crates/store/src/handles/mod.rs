//! The public interface of the store: the store itself, and a borrowed handle for each subject.

mod accounts;
mod callbacks;
mod errors;
mod jobs;
mod maintenance;
mod oauth;
mod operator;
mod store;
#[cfg(any(test, feature = "testing"))]
mod testing;

pub use accounts::Accounts;
pub use callbacks::Callbacks;
pub use errors::Errors;
pub use jobs::Jobs;
pub use maintenance::Maintenance;
pub use oauth::OAuth;
pub use operator::Operator;
pub use store::Store;
