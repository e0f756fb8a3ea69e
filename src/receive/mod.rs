//! Receives `widget_request`s.

mod body;
mod claims;
mod form;
mod keyring;
mod return_url;
mod token;
