//! Reads a whole tree into a type and goes on after a mistake: what is wrong is noted and left out, what is missing is
//! noted and stood in for, and the tree is read again until nothing new turns up. Files are small; passes are cheap.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use serde::de::DeserializeOwned;

use super::{
    Position, Problem, Tree,
    node::{Error, Kind, Reader},
};
use crate::config::problem::Path;

/// What is known before and found during one pass.
#[derive(Default)]
pub struct Context {
    /// Left out in this pass: reported already.
    pub excluded: HashSet<Path>,
    /// Keys that are missing, with a stand-in in this pass.
    pub absent: BTreeSet<(Path, &'static str)>,
    /// Unknown keys, by path: byte offset and advice.
    pub unknown: RefCell<BTreeMap<Path, (usize, Option<String>)>>,
    pub shapes: RefCell<Shapes>,
}

/// Key patterns, as `services.NAME.health.http[].url`: those that the types know, and those that the file has.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Shapes {
    pub known: BTreeSet<String>,
    pub present: BTreeSet<String>,
}

/// What could be read.
pub struct Reading<T> {
    /// There where enough could be read to look for further mistakes.
    pub value: Option<T>,
    pub problems: Vec<Problem>,
    /// What had to be left out of the value.
    pub excluded: HashSet<Path>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests compare example and document with it"))]
    pub shapes: Shapes,
}

pub fn read<T: DeserializeOwned>(tree: &Tree<'_>) -> Reading<T> {
    let mut context = Context::default();
    let mut problems = Vec::new();
    let value = loop {
        match T::deserialize(Reader::root(&tree.root, &context)) {
            Ok(value) => break Some(value),
            Err(error) => {
                if !note(error, tree, &mut context, &mut problems) {
                    break None;
                }
            }
        }
    };
    for (path, (offset, advice)) in context.unknown.into_inner() {
        let at = Position::of(tree.text, offset);
        let what = "unknown key".to_owned();
        problems.push(Problem { file: tree.file.to_owned(), at, path, what, advice });
    }
    Reading { value, problems, excluded: context.excluded, shapes: context.shapes.into_inner() }
}

/// Takes note of one pass's mistake, so that the next pass gets further. False when there is nothing left to read.
fn note(error: Error, tree: &Tree<'_>, context: &mut Context, problems: &mut Vec<Problem>) -> bool {
    let at = error.at.unwrap_or_default();
    match error.kind {
        Kind::Missing { key, advice } => {
            let path = at.then(key);
            if !context.absent.insert((at.clone(), key)) {
                // It was reported, and this kind of table takes no stand-in.
                return !at.0.is_empty() && context.excluded.insert(at);
            }
            if !context.excluded.contains(&path) {
                problems.push(tree.problem(path, "missing key", advice));
            }
            true
        }
        Kind::Wrong { what, advice } => {
            problems.push(tree.problem(at.clone(), what, advice));
            !at.0.is_empty() && context.excluded.insert(at)
        }
        Kind::NoStandIn => !at.0.is_empty() && context.excluded.insert(at),
    }
}
