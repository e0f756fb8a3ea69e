//! What a caller may do: roles, and how much of a job's bodies they see.

use std::fmt;
use std::sync::Arc;

use maud::{Markup, html};

use model::ShowData;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Operator,
    /// Reads.
    Reader,
}

impl Role {
    /// The key of its token.
    pub(in crate::admin) const fn key(self) -> &'static str {
        match self {
            Self::Operator => "admin.token",
            Self::Reader => "admin.read_token",
        }
    }
}

/// How a caller sees the bodies of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// Not at all.
    Hidden,
    /// The keys, and the length of texts.
    Masked {
        /// Whether a page may show them completely when the caller asks for it.
        may_reveal: bool,
    },
    /// Completely.
    Full,
}

impl Bodies {
    /// How `role` sees them.
    pub(super) const fn of(show: ShowData, role: Role) -> Self {
        match (show, role) {
            (ShowData::Never, _) => Self::Hidden,
            (ShowData::Masked | ShowData::Full, Role::Reader) => Self::Masked { may_reveal: false },
            (ShowData::Masked, Role::Operator) => Self::Masked { may_reveal: true },
            (ShowData::Full, Role::Operator) => Self::Full,
        }
    }

    /// How the caller sees them after asking for them. A program asks by calling the API for one job.
    pub(in crate::admin) const fn revealed(self) -> Self {
        match self {
            Self::Masked { may_reveal: true } => Self::Full,
            other => other,
        }
    }
}

/// Whether the session of a caller is still valid.
pub(super) type IsValid = Arc<dyn Fn() -> bool + Send + Sync>;

/// A caller with access: an extension of every guarded request. Contains neither the token nor the cookie.
#[derive(Clone)]
#[allow(dead_code, reason = "the pages of the dashboard read all of it")]
pub struct Visitor {
    /// What the caller may do.
    pub role: Role,
    /// The value of the field `csrf`, which every form of a page must contain; empty for a bearer, who needs none.
    pub csrf: String,
    /// Whether the caller has a session, which `POST /logout` ends.
    pub is_signed_in: bool,
    /// How the caller sees the bodies of jobs.
    pub bodies: Bodies,
    pub(super) is_valid: IsValid,
}

#[allow(dead_code, reason = "the pages of the dashboard use all of it")]
impl Visitor {
    /// A visitor of a page with this role, for tests.
    #[cfg(test)]
    pub fn for_test(role: Role) -> Self {
        let (csrf, is_valid): (_, IsValid) = ("the-csrf".to_owned(), Arc::new(|| true));
        Self { role, csrf, is_signed_in: true, bodies: Bodies::Hidden, is_valid }
    }

    /// Whether the caller may change anything.
    pub fn may_change(&self) -> bool {
        self.role == Role::Operator
    }

    /// The hidden field that every form with the method POST must contain.
    pub fn csrf_field(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }

    /// Whether the session is still valid, for responses that take longer than a moment. True without a session.
    pub fn is_still_valid(&self) -> bool {
        (self.is_valid)()
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("role", &self.role)
            .field("bodies", &self.bodies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_token_reveals_bodies_and_never_means_never() {
        let masked = |may_reveal| Bodies::Masked { may_reveal };
        for (show, role, first, revealed) in [
            (ShowData::Never, Role::Operator, Bodies::Hidden, Bodies::Hidden),
            (ShowData::Never, Role::Reader, Bodies::Hidden, Bodies::Hidden),
            (ShowData::Masked, Role::Operator, masked(true), Bodies::Full),
            (ShowData::Masked, Role::Reader, masked(false), masked(false)),
            (ShowData::Full, Role::Operator, Bodies::Full, Bodies::Full),
            (ShowData::Full, Role::Reader, masked(false), masked(false)),
        ] {
            let bodies = Bodies::of(show, role);
            assert_eq!((bodies, bodies.revealed()), (first, revealed), "{show:?} {role:?}");
        }
    }

    #[test]
    fn debug_shows_no_csrf_token() {
        let visitor = Visitor {
            role: Role::Reader,
            csrf: "hidden-1".into(),
            is_signed_in: true,
            bodies: Bodies::Full,
            is_valid: Arc::new(|| true),
        };
        assert!(!format!("{visitor:?}").contains("hidden"), "{visitor:?}");
        assert!(!visitor.may_change() && visitor.is_still_valid());
        assert!(visitor.csrf_field().into_string().contains(r#"name="csrf" value="hidden-1""#));
    }
}
