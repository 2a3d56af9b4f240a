//! The program under test, as people start it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Where `cargo build` puts it: beside the folder of the test executable.
///
/// # Panics
/// With what to do when it was not built.
pub fn lastgood() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let binary = folder.join("lastgood");
    assert!(binary.is_file(), "{} is not there: run `cargo build` (tests/run does)", binary.display());
    binary
}

/// A command of it in a folder, with nothing of this process's environment that could change what it does.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(lastgood());
    command.current_dir(folder).args(arguments).env_remove("LASTGOOD_CONFIG").env_remove("RUST_LOG");
    command
}

/// What a finished command said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs it to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Said {
    command(folder, arguments).output().unwrap().into()
}
