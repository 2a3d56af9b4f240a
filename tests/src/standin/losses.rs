//! What becomes of the coming calls of a stand-in, by their name.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It takes effect; its sender never learns.
    Answer,
    /// It never arrives, and its sender never learns.
    Request,
    /// It gets a 500, and nothing is done.
    Error,
}

#[derive(Default)]
pub struct Losses(BTreeMap<String, VecDeque<Option<Loss>>>);

impl Losses {
    /// The nth such call from now; 1 is the next.
    pub fn at(&mut self, call: &str, nth: usize, what: Loss) {
        assert!(nth > 0, "the next call is number 1");
        let coming = self.0.entry(call.to_owned()).or_default();
        coming.resize(coming.len().max(nth), None);
        coming[nth - 1] = Some(what);
    }

    /// What becomes of this call.
    pub fn next(&mut self, call: &str) -> Option<Loss> {
        self.0.get_mut(call)?.pop_front().flatten()
    }
}
