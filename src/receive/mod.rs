//! Receives `widget_request`s.

mod body;
mod form;
