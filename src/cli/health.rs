//! `pegel health`: asks a running daemon whether it serves.
//!
//! For health checks of containers: an image without a shell has no curl. It asks `/-/healthy` and
//! not `/-/ready`, because a supervisor restarts what is unhealthy, and a restart does not help
//! while a broker is down. One request on a connection that the server closes needs no HTTP client.
//!
//! The address is the one that `pegel run` listens on: of the configuration and the environment,
//! which wins.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::output::stdout::print_line;
use super::usage::UsageError;
use crate::config::{self, DEFAULT_LISTEN_ADDRESS, Overrides};

/// The environment variable of `web.listen_address`.
const VARIABLE: &str = "PEGEL__WEB__LISTEN_ADDRESS";

/// The longest wait for a connection and for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are read: its status stands in the first line.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Arguments of `pegel health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Address of the daemon, such as http://127.0.0.1:10987 [default: where `pegel run` listens:
    /// PEGEL__WEB__LISTEN_ADDRESS, else web.listen_address of the configuration, else
    /// 127.0.0.1:10987]
    #[arg(long, value_name = "URL", value_parser = authority, conflicts_with = "config")]
    url: Option<String>,
    /// Configuration of the daemon
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The address of a daemon, and the place that it comes from.
#[derive(Debug, PartialEq, Eq)]
struct Daemon {
    address: String,
    origin: Origin,
}

/// The place that the address of a daemon comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Url,
    Environment,
    Config(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Url => f.write_str("--url"),
            Origin::Environment => f.write_str(VARIABLE),
            Origin::Config(path) => write!(f, "web.listen_address of {}", path.display()),
            Origin::Default => write!(f, "the default; another one is in -c, --url or {VARIABLE}"),
        }
    }
}

/// A daemon that does not serve.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    /// The host name has no address.
    #[error("{address} has no address, expected a known host")]
    NoAddress {
        /// Host and port.
        address: String,
    },
    /// No connection, or no answer in time.
    #[error("no pegel answers at {address} ({origin})")]
    NoAnswer {
        /// Host and port.
        address: String,
        /// The place that the address comes from.
        origin: Origin,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Another answer than 200.
    #[error("{address} is not healthy: {status:?}, expected \"HTTP/1.1 200 OK\"")]
    NotHealthy {
        /// Host and port.
        address: String,
        /// The first line of the answer.
        status: String,
    },
}

/// Asks the daemon, and prints that it is healthy.
pub(super) fn run(args: &HealthArgs) -> anyhow::Result<Exit> {
    let overrides = Overrides::from_process(&[]);
    for ignored in config::ignored_variables(&overrides.environment) {
        anstream::eprintln!("{ignored}");
    }
    let daemon = match (&args.url, &args.config) {
        (Some(url), _) => Daemon {
            address: url.clone(),
            origin: Origin::Url,
        },
        (None, Some(path)) => configured(path, &overrides)?,
        (None, None) => by_environment(&overrides.environment)?,
    };
    let address = reachable(&daemon.address);
    let status = status_line(&address, &daemon.origin)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(HealthError::NotHealthy { address, status }.into());
    }
    print_line(format_args!("pegel at {address} is healthy"))?;
    Ok(Exit::Ok)
}

/// The address that a daemon with this configuration listens on.
fn configured(path: &Path, overrides: &Overrides) -> anyhow::Result<Daemon> {
    let address = config::load(path, overrides)?.web.listen_address;
    if address.ends_with(":0") {
        return Err(UsageError::AnyPort { address }.into());
    }
    let is_overridden = variable(&overrides.environment).is_some();
    Ok(Daemon {
        address,
        origin: match is_overridden {
            true => Origin::Environment,
            false => Origin::Config(path.to_owned()),
        },
    })
}

/// The address in the environment, else the default one.
fn by_environment(environment: &[(String, String)]) -> Result<Daemon, UsageError> {
    let Some(address) = variable(environment) else {
        return Ok(Daemon {
            address: DEFAULT_LISTEN_ADDRESS.to_owned(),
            origin: Origin::Default,
        });
    };
    match authority(address) {
        Ok(address) if address.ends_with(":0") => Err(UsageError::AnyPort { address }),
        Ok(address) => Ok(Daemon {
            address,
            origin: Origin::Environment,
        }),
        Err(_) => Err(UsageError::ListenAddress {
            variable: VARIABLE,
            address: address.to_owned(),
        }),
    }
}

/// The value of the variable, whose case does not matter; the last one wins, as in a configuration.
fn variable(environment: &[(String, String)]) -> Option<&str> {
    environment
        .iter()
        .rev()
        .find(|(name, _)| name.eq_ignore_ascii_case(VARIABLE))
        .map(|(_, value)| value.as_str())
}

/// Host and port of a URL.
fn authority(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or_default();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if has_port {
        Ok(authority.to_owned())
    } else {
        Err("expected http://HOST:PORT such as http://127.0.0.1:10987".to_owned())
    }
}

/// The address under which a listener is reached from its own machine: loopback instead of all
/// interfaces.
fn reachable(listen_address: &str) -> String {
    match listen_address.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(address)) if address.ip().is_unspecified() => {
            format!("127.0.0.1:{}", address.port())
        }
        Ok(SocketAddr::V6(address)) if address.ip().is_unspecified() => {
            format!("[::1]:{}", address.port())
        }
        _ => listen_address.to_owned(),
    }
}

/// The first line of the answer of `/-/healthy`.
///
/// A host such as `localhost` has several addresses, and the daemon listens on one of them.
fn status_line(address: &str, origin: &Origin) -> Result<String, HealthError> {
    let no_answer = |source| HealthError::NoAnswer {
        address: address.to_owned(),
        origin: origin.clone(),
        source,
    };
    let mut failure = None;
    for socket in address.to_socket_addrs().map_err(no_answer)? {
        match ask(socket, address) {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer);
                return Ok(text.lines().next().unwrap_or_default().to_owned());
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        Some(error) => no_answer(error),
        None => HealthError::NoAddress {
            address: address.to_owned(),
        },
    })
}

/// The beginning of the answer of one address.
fn ask(socket: SocketAddr, host: &str) -> io::Result<Vec<u8>> {
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect_timeout(&socket, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_or_host_and_port() {
        for (url, expected) in [
            ("http://pegel:10987/", Some("pegel:10987")),
            ("http://[::1]:80/-/healthy", Some("[::1]:80")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("http://pegel", None),
            ("https://pegel:1", None),
            ("", None),
        ] {
            assert_eq!(authority(url).ok().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn the_environment_decides_where_no_configuration_is_given() {
        let daemon = |name: &str, value: &str| {
            by_environment(&[(name.to_owned(), value.to_owned())])
                .map(|daemon| (daemon.address, daemon.origin))
                .map_err(|error| error.to_string())
        };
        let default = (DEFAULT_LISTEN_ADDRESS.to_owned(), Origin::Default);
        assert_eq!(daemon("PEGEL_WEB__LISTEN_ADDRESS", "h:1"), Ok(default));
        let configured = Ok(("0.0.0.0:8080".to_owned(), Origin::Environment));
        assert_eq!(daemon(VARIABLE, "0.0.0.0:8080"), configured);
        assert_eq!(
            daemon("pegel__web__listen_address", "0.0.0.0:8080"),
            configured
        );
        let wrong = daemon(VARIABLE, "8080").unwrap_err();
        assert!(wrong.contains("found \"8080\""), "{wrong}");
        assert!(daemon(VARIABLE, "127.0.0.1:0").is_err(), "a free port");
    }

    #[test]
    fn all_interfaces_are_reached_on_loopback() {
        for (listen_address, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.1:8080", "10.0.0.1:8080"),
            ("pegel:8080", "pegel:8080"),
        ] {
            assert_eq!(reachable(listen_address), expected);
        }
    }
}
