//! The laws of watches.
