//! Tests of the index, in clusters written as lines of text (see [`cast`]).

mod cast;
mod facts;
mod joins;
mod marks;
mod reading;
mod replay;
mod resources;
mod templates;
