//! Programs of the user's, run with care: a clean environment, a process group of their own that ends with them, a time
//! limit after which all of it is ended, and no more output than makes sense.

use std::{
    collections::BTreeMap,
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{BuildError, Fault, Secret, client::quote};

/// Where programs are looked for: what every system has, whatever lastgood itself was started with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between asking a group to end and ending it.
const GRACE: Duration = Duration::from_secs(1);
/// Of one line, and of what is said on standard error.
const LONGEST: u64 = 1 << 20;
const COMPLAINT: u64 = 16 * 1024;

/// A command line, and what it may know of its surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    line: Vec<String>,
    environment: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: it was ended at the time limit.
    pub status: Option<ExitStatus>,
    /// The last lines of standard error, in one.
    pub complaint: String,
}

/// Why it did not even begin.
#[derive(Debug)]
pub(crate) struct NotStarted(pub Fault);

/// A process group that ends when its owner does, however that comes about.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, "a program's process group can't be ended");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Program {
    /// # Errors
    /// When there is nothing to run.
    pub fn new(key: &'static str, line: &[String]) -> Result<Self, BuildError> {
        if line.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(BuildError::invalid(key, "empty: name a program and its arguments, as a list"));
        }
        Ok(Self { line: line.to_vec(), environment: BTreeMap::new(), secrets: BTreeMap::new() })
    }

    pub fn with(mut self, environment: BTreeMap<String, String>, secrets: BTreeMap<String, Secret>) -> Self {
        (self.environment, self.secrets) = (environment, secrets);
        self
    }

    /// For people. Arguments are the user's own and hold no secret: those come through the environment.
    pub fn name(&self) -> String {
        self.line.join(" ")
    }

    pub fn secrets(&self) -> Vec<&Secret> {
        self.secrets.values().collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.line.first().map_or("", String::as_str));
        command
            .args(self.line.iter().skip(1))
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .envs(&self.environment)
            .envs(self.secrets.iter().map(|(name, secret)| (name, secret.reveal())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Gives it `input`, hands every line that it says to `hear`, and waits until it ends; at the limit its whole group is
    /// ended: asked first, then made to. What it left running in its group ends with it, too.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn run(
        &self,
        input: &[u8],
        limit: Duration,
        mut hear: impl FnMut(&str),
    ) -> Result<Ended, NotStarted> {
        let end = Instant::now() + limit;
        let mut child = self.command().spawn().map_err(|error| NotStarted(self.not_started(&error)))?;
        let group = Group::of(&child);
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(stdin) = &mut stdin {
                // Whoever does not read its input is judged by how it ends.
                stdin.write_all(input).await.ok();
            }
            drop(stdin);
        };
        let listen = async {
            let Some(stdout) = stdout else { return };
            let mut lines = BufReader::new(stdout);
            while let Some(line) = line(&mut lines).await {
                hear(&line);
            }
        };
        let complain = async {
            let mut said = Vec::new();
            if let Some(stderr) = stderr {
                let mut stderr = stderr.take(COMPLAINT);
                stderr.read_to_end(&mut said).await.ok();
                // The rest is read as well, or it would wait for ever to be rid of it.
                tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await.ok();
            }
            quote(&String::from_utf8_lossy(&said), &self.secrets())
        };
        let talk = async { futures_util::future::join3(write, listen, complain).await.2 };
        let (status, complaint) = self.until(end, &mut child, &group, talk).await;
        Ok(Ended { status, complaint })
    }

    async fn until(
        &self,
        end: Instant,
        child: &mut Child,
        group: &Group,
        talk: impl Future<Output = String>,
    ) -> (Option<ExitStatus>, String) {
        tokio::pin!(talk);
        let mut said = None;
        let status = loop {
            tokio::select! {
                complaint = &mut talk, if said.is_none() => said = Some(complaint),
                status = child.wait() => break status.ok(),
                () = sleep_until(end) => {
                    group.signal(Signal::TERM);
                    let last = Instant::now() + GRACE;
                    timeout_at(last, child.wait()).await.ok();
                    group.signal(Signal::KILL);
                    child.wait().await.ok();
                    break None;
                }
            }
        };
        // Children of its own may hold its output open, for ever: they end with it.
        group.signal(Signal::KILL);
        let complaint = match said {
            Some(complaint) => complaint,
            None => timeout_at(Instant::now() + GRACE, talk).await.unwrap_or_default(),
        };
        (status, complaint)
    }

    fn not_started(&self, error: &io::Error) -> Fault {
        let text = format!("{} can't be started: {error}", self.name());
        match error.kind() {
            io::ErrorKind::NotFound => Fault::NotFound(text),
            io::ErrorKind::PermissionDenied => Fault::Denied(text),
            _ => Fault::Unavailable(text),
        }
    }

    /// For commands that say yes by ending well.
    ///
    /// # Errors
    /// `Invalid` with what it said; `Unavailable` at the limit.
    pub async fn judge(&self, limit: Duration) -> Result<(), Fault> {
        let ended = self.run(b"", limit, |_| {}).await.map_err(|NotStarted(fault)| fault)?;
        match ended.status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Fault::Invalid(format!("{}: {status}: {}", self.name(), ended.complaint))),
            None => Err(Fault::Unavailable(format!("{}: not done within {limit:?}", self.name()))),
        }
    }
}

/// The next line, without its end; none at the end of the output, or when a line is absurdly long.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let read = from.take(LONGEST).read_until(b'\n', &mut bytes).await.ok()?;
    if read == 0 || (u64::try_from(read).unwrap_or(LONGEST) == LONGEST && !bytes.ends_with(b"\n")) {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("program", &["sh".into(), "-c".into(), script.into()]).unwrap()
    }

    async fn run(program: &Program, limit: u64) -> (Ended, Vec<String>) {
        let mut heard = Vec::new();
        let ended =
            program.run(b"in\n", Duration::from_millis(limit), |line| heard.push(line.to_owned())).await;
        (ended.unwrap(), heard)
    }

    #[tokio::test]
    async fn it_knows_only_what_it_was_given() {
        let environment = [("GIVEN".to_owned(), "yes".to_owned())].into();
        let secrets = [("TOKEN".to_owned(), Secret::new("hunter2"))].into();
        let program = shell("cat; env | sort; echo \"bad hunter2\" >&2; exit 3").with(environment, secrets);
        let (ended, heard) = run(&program, 5_000).await;
        assert_eq!(heard[0], "in");
        let names: Vec<_> = heard[1..].iter().filter_map(|line| line.split('=').next()).collect();
        assert_eq!(names, ["GIVEN", "LANG", "PATH", "PWD", "TOKEN"]);
        assert_eq!((ended.status.unwrap().code(), ended.complaint.as_str()), (Some(3), "bad [secret]"));
    }

    #[tokio::test]
    async fn at_the_limit_its_whole_group_ends() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("child");
        let script =
            format!("trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {0}; wait; sleep 60", note.display());
        let (ended, _) = run(&shell(&script), 300).await;
        assert!(ended.status.is_none());
        let child = std::fs::read_to_string(&note).unwrap();
        let alive = || {
            // A zombie waits for whoever adopted it, and is dead all the same.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z"))
        };
        let end = Instant::now() + Duration::from_secs(5);
        while alive() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!alive(), "a child lives on");
    }

    #[tokio::test]
    async fn what_it_leaves_running_does_not_keep_anybody_waiting() {
        let began = Instant::now();
        let (ended, heard) = run(&shell("sleep 60 & echo done"), 10_000).await;
        assert!(ended.status.unwrap().success() && heard == ["done"]);
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_can_not_be_started_says_so() {
        let none = Program::new("program", &["/no/such/program".into()]).unwrap();
        assert!(matches!(none.judge(GRACE).await, Err(Fault::NotFound(_))));
        assert!(matches!(shell("exit 1").judge(GRACE).await, Err(Fault::Invalid(_))));
        assert!(Program::new("program", &[]).is_err());
    }
}
