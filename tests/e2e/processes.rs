//! Processes under test: started on free ports, waited for, and always ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Polls until there is an answer.
pub(crate) fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Returns true when the real programs are installed; they are required in CI.
pub(crate) fn have_prometheus() -> bool {
    have(&["prometheus", "promtool"])
}

/// Returns true when these programs are installed; they are required in CI.
pub(crate) fn have(programs: &[&str]) -> bool {
    let absent: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|name| Command::new(name).arg("--version").output().is_err())
        .collect();
    let required = std::env::var("PEGEL_TEST_REQUIRE").is_ok_and(|value| value == "1");
    assert!(
        absent.is_empty() || !required,
        "required and absent: {absent:?}"
    );
    if !absent.is_empty() {
        println!("skipped, absent: {absent:?}");
    }
    absent.is_empty()
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(status.success(), "kill {signal}");
}

/// Ends a process with SIGTERM, as an operator would.
fn terminate(child: &mut Child, name: &str) -> ExitStatus {
    signal(child, "-TERM");
    eventually(name, Duration::from_secs(20), || child.try_wait().unwrap())
}

/// Runs promtool and expects it to succeed.
pub(crate) fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
}

pub(crate) fn get(url: &str) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    agent.get(url).call().ok()?.body_mut().read_to_string().ok()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since_epoch.as_millis()).unwrap()
}

/// A running `pegel demo`.
pub(crate) struct Demo {
    child: Child,
    address: String,
}

impl Demo {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(
                output.read_line(&mut line).unwrap() > 0,
                "the demo ended before it said where it is"
            );
            if let Some(rest) = line.trim().strip_prefix("page") {
                break rest
                    .trim()
                    .trim_start_matches("http://")
                    .trim_end_matches('/')
                    .to_owned();
            }
        };
        // The output is read to its end, so that the demo never blocks on a full pipe.
        std::thread::spawn(move || drop(output.read_to_string(&mut String::new())));
        Demo { child, address }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn get(&self, path: &str) -> String {
        eventually(path, Duration::from_secs(20), || {
            get(&format!("http://{}{path}", self.address))
        })
    }

    /// Ends the demo with SIGTERM, as an operator would.
    pub(crate) fn stop(mut self) -> ExitStatus {
        terminate(&mut self.child, "the end of the demo")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A running `pegel run`.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts it with a configuration that does not set the address.
    pub(crate) fn start(config: &Path, address: SocketAddr) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(config.with_extension("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(["run", "-c"])
            .arg(config)
            .args(["--set", &format!("web.listen_address={address}")])
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, address }
    }

    /// Asks for a reload, as `systemctl reload` does.
    pub(crate) fn hang_up(&self) {
        signal(&self.child, "-HUP");
    }

    /// Ends it with SIGKILL, as the kernel does when memory runs out.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it with SIGTERM, as an operator would.
    pub(crate) fn terminate(&mut self) {
        let status = terminate(&mut self.child, "the end of the daemon");
        assert!(status.success(), "SIGTERM ends it cleanly: {status}");
    }

    pub(crate) fn get(&self, path: &str) -> String {
        eventually(path, Duration::from_secs(20), || {
            get(&format!("http://{}{path}", self.address))
        })
    }

    /// The address of its page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The lines of a scrape; none while it does not answer.
    pub(crate) fn scrape(&self) -> Vec<String> {
        get(&format!("http://{}/metrics", self.address))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A running Prometheus that scrapes one target every second.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Prometheus {
    pub(crate) fn start(target: &str, rules: &Path) -> Self {
        Self::start_with(target, rules, "[]")
    }

    /// Starts it with a list of Alertmanagers.
    pub(crate) fn start_with(target: &str, rules: &Path, alertmanagers: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nalerting: {{alertmanagers: [{{static_configs: [{{targets: {alertmanagers}}}]}}]}}\nscrape_configs:\n  - job_name: pegel\n    static_configs: [{{targets: [{target:?}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let address = free_address();
        let child = Self::spawn(directory.path(), address);
        Prometheus {
            child,
            address,
            directory,
        }
    }

    /// Starts the process and waits until it answers.
    fn spawn(directory: &Path, address: SocketAddr) -> Child {
        let config = directory.join("prometheus.yml");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("Prometheus", Duration::from_secs(30), || {
            get(&format!("http://{address}/-/ready"))
        });
        child
    }

    /// Ends it with SIGTERM and starts it again on its data.
    pub(crate) fn restart(&mut self) {
        terminate(&mut self.child, "the end of Prometheus");
        self.child = Self::spawn(self.directory.path(), self.address);
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let text = get(&format!("http://{}{path}", self.address)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The series of a query that had a number between `from_ms` and now, second by second.
    pub(crate) fn series(&self, query: &str, from_ms: i64) -> Vec<Value> {
        // The next full second sees the latest scrape.
        let (start, end) = (from_ms / 1000, now_ms() / 1000 + 1);
        let encoded = percent_encoded(query);
        let answer = self.get(&format!(
            "/api/v1/query_range?query={encoded}&start={start}&end={end}&step=1"
        ));
        assert_eq!(answer["status"], "success", "{query}");
        let has_number = |series: &Value| {
            let values = series["values"].as_array().unwrap();
            values.iter().any(|value| value[1] != "NaN")
        };
        let series = answer["data"]["result"].as_array().unwrap();
        series
            .iter()
            .filter(|&series| has_number(series))
            .cloned()
            .collect()
    }

    /// The first value of an instant query.
    pub(crate) fn value(&self, query: &str) -> Option<f64> {
        let encoded = percent_encoded(query);
        let answer = self.get(&format!("/api/v1/query?query={encoded}"));
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
