//! What comes in from outside, made typed at the edge: whoever sends it, the rest of the program sees one shape and
//! never a half-checked one.

pub mod alertmanager;
pub mod chat;
pub mod deployment;
pub mod matcher;
