//! Debian's Alertmanager with the shipped configuration, and the receiver of its messages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::processes::{eventually, free_address, get};

/// Debian's name of the program.
pub(crate) const PROGRAM: &str = "prometheus-alertmanager";
/// The name of the alerts that tests send themselves.
pub(crate) const MARKER: &str = "Marker";

/// A running Alertmanager that sends to one webhook.
pub(crate) struct Alertmanager {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts it with the shipped configuration; only the receiver's address and the waiting times
    /// are those of the test.
    pub(crate) fn start(config: &Path, webhook: &Webhook) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shipped = std::fs::read_to_string(config).unwrap();
        let replacements = [
            (
                "http://127.0.0.1:9095/",
                format!("http://{}/", webhook.address),
            ),
            ("group_wait: 30s", "group_wait: 2s".to_owned()),
            ("group_interval: 5m", "group_interval: 1s".to_owned()),
        ];
        let mut text = shipped;
        for (from, to) in replacements {
            assert!(text.contains(from), "{from} in {}", config.display());
            text = text.replace(from, &to);
        }
        let path = directory.path().join("alertmanager.yml");
        std::fs::write(&path, text).unwrap();
        let address = free_address();
        let child = Command::new(PROGRAM)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.path={}", directory.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("Alertmanager", Duration::from_secs(30), || {
            get(&format!("http://{address}/-/ready"))
        });
        Alertmanager {
            child,
            address,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The beginnings of all active alerts, by name, monitor and feature.
    pub(crate) fn alerts(&self) -> Vec<(String, String)> {
        let text = get(&format!("http://{}/api/v2/alerts", self.address)).unwrap_or_default();
        let alerts: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        let mut alerts: Vec<(String, String)> = alerts
            .iter()
            .filter(|alert| alert["labels"]["alertname"] != MARKER)
            .map(|alert| (alert["labels"].to_string(), alert["startsAt"].to_string()))
            .collect();
        alerts.sort();
        alerts
    }

    /// Sends an alert of a monitor, as Prometheus does.
    pub(crate) fn send(&self, monitor: &str) {
        let alert = format!(r#"[{{"labels":{{"alertname":{MARKER:?},"monitor":{monitor:?}}}}}]"#);
        ureq::post(&format!("http://{}/api/v2/alerts", self.address))
            .content_type("application/json")
            .send(&alert)
            .unwrap();
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One alert in a message of Alertmanager.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// `firing` or `resolved`.
    pub(crate) status: String,
    pub(crate) alert: String,
    pub(crate) monitor: String,
    pub(crate) summary: String,
    pub(crate) description: String,
}

/// Receives messages on a free port.
pub(crate) struct Webhook {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let webhook = Webhook {
            address: listener.local_addr().unwrap(),
            messages: Arc::default(),
        };
        let messages = Arc::clone(&webhook.messages);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let received = receive(stream.unwrap());
                messages.lock().unwrap().extend(received);
            }
        });
        webhook
    }

    /// All messages so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

/// Reads one request and confirms it.
fn receive(stream: TcpStream) -> Vec<Message> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |alert: &Value, key: &str, name: &str| {
        alert[key][name].as_str().unwrap_or_default().to_owned()
    };
    body["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|alert| Message {
            status: alert["status"].as_str().unwrap_or_default().to_owned(),
            alert: text(alert, "labels", "alertname"),
            monitor: text(alert, "labels", "monitor"),
            summary: text(alert, "annotations", "summary"),
            description: text(alert, "annotations", "description"),
        })
        .collect()
}
