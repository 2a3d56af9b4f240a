//! lastgood: the product. The binary is a thin door to this library, so that tests come in the same way.

pub mod config;
pub mod inbound;
