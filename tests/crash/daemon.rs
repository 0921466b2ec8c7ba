//! Runs `pegel run` as a process that can be killed, stopped and waited for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::chaos::eventually;

const END: Duration = Duration::from_secs(30);

/// A running process; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log_file: PathBuf,
    pub(crate) spawned: Instant,
}

impl Daemon {
    /// Starts a process that writes its log lines to a file.
    pub(crate) fn start(config: &Path, arguments: &[&str], log_file: &Path) -> Self {
        let spawned = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .arg("run")
            .arg("-c")
            .arg(config)
            .args(arguments)
            .stderr(File::create(log_file).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon {
            child,
            log_file: log_file.to_owned(),
            spawned,
        }
    }

    /// The log lines written so far.
    pub(crate) fn log_lines(&self) -> String {
        std::fs::read_to_string(&self.log_file).unwrap_or_default()
    }

    /// Sends a signal: KILL, TERM, STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let mut kill = Command::new("kill");
        let sent = kill.args([&format!("-{name}"), &pid]);
        assert!(sent.status().unwrap().success(), "kill -{name} {pid}");
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    /// Kills the process and keeps the file with its log lines.
    pub(crate) fn kill_now(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "ended by itself, {ended:?}: {}",
            self.log_lines()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the process with SIGTERM, as an operator would.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until the process has ended with exit code 0.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let log_file = self.log_file.clone();
        let log_lines = || std::fs::read_to_string(log_file).unwrap_or_default();
        eventually(END, || self.child.try_wait().unwrap(), log_lines)
    }

    /// The scrape of `/metrics`; empty while there is no answer.
    pub(crate) fn scrape(&self) -> String {
        let log_lines = self.log_lines();
        let address = log_lines.split("http://").nth(1);
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

/// The sum of all series whose line starts with a prefix.
pub(crate) fn sum(scrape: &str, series: &str) -> f64 {
    let lines = scrape.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}
