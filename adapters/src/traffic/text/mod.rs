//! Configuration files of routers: weights are changed where they stand, and every other byte stays as it is, comments
//! included. A file is replaced by rename, so that nobody ever reads half of it.

mod file;
mod yaml;

use std::ops::Range;

pub use self::{
    file::{read, replace, writable},
    yaml::{Node, parse},
};

/// Replaces places of a text. They must not overlap.
pub fn edit(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(place, _)| place.start);
    let mut edited = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for (place, new) in changes {
        edited.push_str(text.get(done..place.start).unwrap_or_default());
        edited.push_str(&new);
        done = place.end;
    }
    edited.push_str(text.get(done..).unwrap_or_default());
    edited
}
