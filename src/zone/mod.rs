//! To be written.

pub mod draw;
pub mod sample;
