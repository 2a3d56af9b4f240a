//! A way to end a process's use of the store at one exact commit. What must survive a crash is proven by crashing at every
//! step; and whoever embeds the engine can fence it with the same means, without killing the process around it.

/// Asked around every commit. Once it is burnt, every further operation of the store that it guards fails as if the database
/// were gone: nothing is read, nothing is written.
pub trait Fuse: Send + Sync {
    /// Whether it has burnt.
    fn burnt(&self) -> bool;

    /// Before a commit. False: it burns here, and the transaction is rolled back.
    fn before_commit(&self) -> bool;

    /// After a commit. False: it burns here; what was committed stays, and the caller never learns that it was.
    fn after_commit(&self) -> bool;
}
