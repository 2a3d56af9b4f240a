//! Alerts and the engine alone, on both databases, with a clock that the test turns: what a service's alerts come to over
//! hours and days.

mod acquitted;
mod again;
mod automatic;
mod many;
mod people;
mod place;
mod silent;
