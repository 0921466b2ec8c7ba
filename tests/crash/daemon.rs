//! `pegel run` as a process, and what may happen to one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::chaos::eventually;

const END: Duration = Duration::from_secs(30);

/// A running process; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    said: PathBuf,
    pub(crate) spawned: Instant,
}

impl Daemon {
    /// Starts one that writes its log lines to a file.
    pub(crate) fn start(config: &Path, arguments: &[&str], said: &Path) -> Self {
        let spawned = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .arg("run")
            .arg("-c")
            .arg(config)
            .args(arguments)
            .stderr(File::create(said).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon {
            child,
            said: said.to_owned(),
            spawned,
        }
    }

    /// What it wrote.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Sends a signal: KILL, TERM, STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let mut kill = Command::new("kill");
        let sent = kill.args([&format!("-{name}"), &pid]);
        assert!(sent.status().unwrap().success(), "kill -{name} {pid}");
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    /// The same, of one that is kept for what it wrote.
    pub(crate) fn kill_now(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "ended by itself, {ended:?}: {}",
            self.said()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator would.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it has ended, as it was asked to.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let said = self.said.clone();
        let said = || std::fs::read_to_string(said).unwrap_or_default();
        eventually(END, || self.child.try_wait().unwrap(), said)
    }

    /// Everything at `/metrics`; empty while there is no answer.
    pub(crate) fn scrape(&self) -> String {
        let said = self.said();
        let address = said.split("http://").nth(1);
        let Some((address, _)) = address.and_then(|rest| rest.split_once('/')) else {
            return String::new();
        };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        let answer = agent.get(format!("http://{address}/metrics")).call();
        let body = answer
            .ok()
            .map(|mut answer| answer.body_mut().read_to_string());
        body.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The sum of all series that begin so.
pub(crate) fn sum(scrape: &str, series: &str) -> f64 {
    let lines = scrape.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}
