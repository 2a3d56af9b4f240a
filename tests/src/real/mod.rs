//! Real programs, started on loopback ports and folders of the test's own.

pub mod alertmanager;
pub mod prometheus;
pub mod registry;
