//! Scenarios on real programs and strict stand-ins, in one binary: real programs start in parallel, dependencies link once.

mod alerts;
mod both;
mod chain;
mod cli;
mod conformance;
mod crash;
mod discord;
mod harness;
mod mirror;
mod outside;
mod packaging;
mod pipelines;
mod port;
mod slack;
mod traffic;
