//! Hash maps and sets for what every job looks up.
//!
//! A look-up costs a fifth of one in a map of the standard library, whose hash function withstands keys that an attacker
//! chose to collide. Keys here are names from the configuration, numbers of the bridge itself, and accounts of verified
//! tokens. Where a stranger chooses the keys, use the standard library.

pub use hashbrown::hash_map::{Entry, EntryRef};
pub use hashbrown::{HashMap, HashSet};
