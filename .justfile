# The commands of the project. `just` lists them, `.ci/run` calls them in the gate's order.
#
# `just` and `cargo-deny` at the versions of the gate: `.ci/tools`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Runs a command with a temporary Apache Kafka, or with the one PEGEL_TEST_KAFKA names.
with_kafka := "tests/broker/kafka.sh run"

[private]
default:
    @{{ just_executable() }} --list --unsorted

# Everything that needs no service: the checks a commit must pass
check: fmt deny clippy doc test

# The formatting of the code
fmt:
    cargo fmt --check

# Licences, bans and sources of the dependencies
deny:
    cargo deny --locked --config .cargo/deny.toml check licenses bans sources

# Lints, with warnings as errors
clippy:
    cargo clippy --all-targets --locked -- -D warnings

# The API documentation, with warnings as errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Generated files in deploy/ are what their generators write
deploy-current:
    python3 deploy/grafana/generate.py --check
    deploy/kubernetes/components/monitoring/generate.sh --check

# The dashboards against the types of Grafana's schema, which npm downloads
dashboards:
    tests/support/check_dashboards.sh

# All tests that need no service: units, offline, simulation, calibration, mock brokers
test *args:
    cargo test --locked {{ args }}

# The broker suite on Apache Kafka
broker *args:
    PEGEL_TEST_REQUIRE=1 {{ with_kafka }} cargo test --locked --test broker {{ args }}

# Processes that are killed, paused and restarted on Apache Kafka
crash: (crash-test "--test-threads 9 --skip membership") (crash-test "membership")

# Crash tests wait more than they work, so they run all at once. `membership` runs alone, because it
# measures how long partitions are not read.
[private]
crash-test args:
    PEGEL_TEST_REQUIRE=1 {{ with_kafka }} cargo test --locked --test crash -- --nocapture {{ args }}

# Scores against SciPy's on the published data sets
oracle:
    PEGEL_TEST_REQUIRE=1 cargo test --locked --test oracle

# Calibrated alerts on the published data sets
calibration:
    PEGEL_TEST_REQUIRE=1 cargo test --locked --test calibration data

# The whole grid of the calibration suite (an hour), with its tables
calibration-full:
    PEGEL_TEST_FULL=1 cargo test --release --locked --test calibration -- --nocapture

# From a running daemon over Prometheus and the shipped rules to a firing alert
alert-path:
    PEGEL_TEST_REQUIRE=1 cargo test --locked --test e2e

# The demo at 20 times its speed. `cargo run` would compile the program a second time, because test
# dependencies enable features of shared crates; this takes the program the suites use.
[doc("The demo at 20 times its speed")]
demo:
    cargo test --locked --no-run --test e2e
    "${CARGO_TARGET_DIR:-target}/debug/pegel" demo --speed 20 --for 20s --listen 127.0.0.1:0

# The pane log's protocol on many random schedules: `just simulation 1000000`
simulation schedules="100000":
    PEGEL_TEST_SCHEDULES={{ schedules }} cargo test --release --locked --test simulation

# The benchmarks, or one of them: `just bench hot_path`
bench name="hot_path":
    cargo bench --locked --bench {{ name }}

# The figures of the style table, of this tree or of several: `just style-table OLD .`
style-table *trees:
    tests/support/style_table.py {{ trees }}

# The command outputs and files that the documents quote, or `--check` that they are current
outputs *args:
    cargo build --release --locked
    tests/support/outputs.py {{ args }}

# The pictures of the documents
pictures:
    cargo build --release --locked
    tests/support/pictures.sh
