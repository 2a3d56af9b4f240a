//! Scenarios on real programs and strict stand-ins, in one binary: real programs start in parallel, dependencies link once.

mod cli;
mod haproxy;
mod harness;
mod outside;
mod packaging;
