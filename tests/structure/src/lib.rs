//! The module graph of a crate, read from its sources.
//!
//! An arrow leads from a file to each file that defines what it names. Names are followed through
//! re-exports to where they are defined. What only tests see is left out, and so are macros, whose
//! contents are no code to a parser.

mod graph;
mod source;

pub use graph::{Arrow, Graph, circles};
pub use source::Module;
