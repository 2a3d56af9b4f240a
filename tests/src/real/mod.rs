//! Real programs, started on loopback ports and folders of the test's own.

pub mod alertmanager;
pub mod haproxy;
pub mod prometheus;
pub mod registry;
