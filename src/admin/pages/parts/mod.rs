//! The parts that all pages are made of. They know nothing of the store: they turn values into markup.

pub(super) mod amount;
pub(super) mod chart;
pub(super) mod icon;
pub(super) mod mark;
pub(super) mod moment;
pub(super) mod panel;
pub(super) mod scale;
pub(super) mod table;
pub(super) mod text;
