//! salesbot-bridge
