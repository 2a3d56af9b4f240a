//! What is particular to each kind of router, above all the traps; what they have in common is in `conformance`.

mod caddy;
mod envoy;
mod exec;
mod haproxy;
mod http;
mod kubernetes;
mod nginx;
mod traefik;
