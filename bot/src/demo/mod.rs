//! The main job in a terminal, with nothing to install and no account anywhere.

pub mod world;
