//! One session with HAProxy's Runtime API. The interactive mode is used, for two reasons: all commands of a session
//! reach the same process, even when two share the port; and an empty answer (success) is told from no answer at all.

use std::{collections::VecDeque, future::Future, io, path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};

use super::config::Address;
use crate::Fault;

/// What ends every answer in interactive mode (management.txt, "prompt").
const PROMPT: &[u8] = b"\n> ";
/// No answer that is asked for here comes near this many bytes.
const LONGEST: usize = 16 << 20;
/// Between two knocks at a socket whose queue is full.
const QUEUED: Duration = Duration::from_micros(500);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) struct Session {
    stream: Box<dyn Stream>,
    who: String,
    deadline: Instant,
    /// Questions that were sent, and whose answers are still to be read, in this order.
    sent: VecDeque<String>,
    /// What was read beyond the answer before.
    read: Vec<u8>,
}

impl Session {
    /// # Errors
    /// `Denied` when the operating system forbids the socket; `Unavailable` otherwise.
    pub async fn open(address: &Address, deadline: Instant) -> Result<Self, Fault> {
        Self::asking(address, deadline, Vec::new()).await
    }

    /// As `open`, with questions that will be asked: they go out at once, so that their answers take one way there and back
    /// together. Whoever then asks something else loses nothing but that.
    ///
    /// # Errors
    /// As `open`.
    pub async fn asking(address: &Address, deadline: Instant, questions: Vec<String>) -> Result<Self, Fault> {
        let who = address.to_string();
        let connected: io::Result<Box<dyn Stream>> = within(deadline, async {
            Ok(match address {
                Address::Unix(path) => Box::new(queued(path).await?) as Box<dyn Stream>,
                Address::Tcp(at) => Box::new(TcpStream::connect(at).await?),
            })
        })
        .await;
        let stream = connected.map_err(|error| unreached(&who, &error))?;
        let mut session = Self { stream, who, deadline, sent: VecDeque::new(), read: Vec::new() };
        session.send(std::iter::once("prompt".to_owned()).chain(questions)).await.map_err(|error| {
            Fault::Unavailable(format!("{}: it takes no questions: {error}", session.who))
        })?;
        session.ask("prompt").await?;
        Ok(session)
    }

    /// Asks for something; the answer may be an error in words, which parsers recognise.
    ///
    /// # Errors
    /// `Unavailable` when no whole answer came: nothing was changed.
    pub async fn ask(&mut self, question: &str) -> Result<String, Fault> {
        self.exchange(question).await.map_err(|error| {
            Fault::Unavailable(format!("{}: no answer to \"{question}\": {error}", self.who))
        })
    }

    /// Changes something, by commands that don't depend on each other: they go out together, and all are carried out even if
    /// one is refused. An empty answer is success; anything else says what was refused.
    ///
    /// # Errors
    /// `Unknown` when no whole answer came; `Denied`, `NotFound`, `Invalid` as HAProxy says of the first that it refused.
    pub async fn tell_all(&mut self, commands: &[String]) -> Result<(), Fault> {
        let unknown = |who: &str, command: &str, error: io::Error| {
            Fault::Unknown(format!("{who}: sent \"{command}\", no answer came: {error}"))
        };
        let Some(first) = commands.first() else { return Ok(()) };
        // What was asked for nothing is read first, so that answers are those of the commands.
        while self.sent.pop_front().is_some() {
            self.answer().await.map_err(|error| {
                Fault::Unavailable(format!("{}: it takes no commands: {error}", self.who))
            })?;
        }
        let sent = self.send(commands.iter().cloned()).await;
        self.sent.clear();
        sent.map_err(|error| unknown(&self.who, first, error))?;
        let mut refused = None;
        for command in commands {
            let answer = self.answer().await.map_err(|error| unknown(&self.who, command, error))?;
            if !answer.is_empty() {
                refused.get_or_insert_with(|| refusal(&self.who, command, &answer));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    pub fn refused(&self, command: &str, answer: &str) -> Fault {
        refusal(&self.who, command, answer)
    }

    async fn send(&mut self, commands: impl Iterator<Item = String>) -> io::Result<()> {
        let mut lines = String::new();
        for command in commands {
            lines.push_str(&command);
            lines.push('\n');
            self.sent.push_back(command);
        }
        within(self.deadline, async {
            self.stream.write_all(lines.as_bytes()).await?;
            self.stream.flush().await
        })
        .await
    }

    async fn exchange(&mut self, command: &str) -> io::Result<String> {
        // Answers come in the order of the questions: what was asked for nothing is read for nothing.
        while let Some(next) = self.sent.pop_front() {
            let answer = self.answer().await?;
            if next == command {
                return Ok(answer);
            }
        }
        self.send(std::iter::once(command.to_owned())).await?;
        self.sent.clear();
        self.answer().await
    }

    /// The next answer, up to its prompt.
    async fn answer(&mut self) -> io::Result<String> {
        let deadline = self.deadline;
        within(deadline, async {
            loop {
                let end = self.read.windows(PROMPT.len()).position(|window| window == PROMPT);
                if let Some(end) = end {
                    let rest = self.read.split_off(end + PROMPT.len());
                    let answer = std::mem::replace(&mut self.read, rest);
                    return Ok(String::from_utf8_lossy(&answer[..end]).trim().to_owned());
                }
                if self.read.len() > LONGEST {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer does not end"));
                }
                if self.stream.read_buf(&mut self.read).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        })
        .await
    }
}

/// A Unix socket whose queue is full answers EAGAIN at once (connect(2)), where TCP would wait. HAProxy's queue is as
/// short as its `stats maxconn`, and it empties within moments: that is no reason to call it unavailable.
async fn queued(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUED).await;
            }
            other => return other,
        }
    }
}

fn unreached(who: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::Denied(format!("{who}: {error}")),
        _ => Fault::Unavailable(format!("{who}: {error}")),
    }
}

/// A time limit that reads as what it is.
async fn within<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the time limit passed");
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(late()))
}

/// What HAProxy said instead of doing it. The texts are those of 2.6's cli.c, server.c, map.c and proxy.c; one that is
/// not known is passed on as it is.
fn refusal(who: &str, command: &str, answer: &str) -> Fault {
    let said: String = answer.lines().next().unwrap_or_default().chars().take(200).collect();
    let text = format!("{who}: \"{command}\": {said}");
    let holds = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    if holds(&["Permission denied"]) {
        Fault::Denied(text)
    } else if holds(&["No such", "Can't find", "not found", "Unknown map"]) {
        Fault::NotFound(text)
    } else {
        Fault::Invalid(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_the_system_forbids_is_denied_and_one_that_is_gone_unavailable() {
        let of = |kind: io::ErrorKind| unreached("unix:/s", &kind.into());
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Fault::Denied(_)));
        for gone in [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut] {
            assert!(matches!(of(gone), Fault::Unavailable(_)), "{gone}");
        }
    }

    #[test]
    fn refusals_are_told_apart_by_what_helps() {
        let of = |answer| refusal("unix:/s", "set server a/b weight 1", answer);
        assert!(matches!(of("Permission denied"), Fault::Denied(_)));
        for missing in ["No such server.", "No such backend.", "Can't find backend.", "entry not found."] {
            assert!(matches!(of(missing), Fault::NotFound(_)), "{missing}");
        }
        let Fault::Invalid(text) = of("Absolute weight can only be between 0 and 256 inclusive.") else {
            unreachable!("another kind");
        };
        assert!(text.starts_with("unix:/s: \"set server a/b weight 1\": Absolute"), "{text}");
    }
}
