//! From what happened to what people read.

pub mod spark;
