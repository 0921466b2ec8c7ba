//! A node of Apache Kafka that belongs to one test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A broker that the test may kill.
pub(crate) struct Node(pub(crate) PathBuf);

impl Node {
    pub(crate) fn run(&self, what: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker/kafka.sh");
        let status = Command::new(script)
            .arg(what)
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(status.success(), "kafka.sh {what}: {status}");
        let address = std::fs::read_to_string(self.0.join("address")).unwrap();
        address.trim().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.run("kill");
    }
}
