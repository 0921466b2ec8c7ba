//! `pegel health`: asks a running daemon whether it serves.
//!
//! For health checks of containers: an image without a shell has no curl. It asks `/-/healthy` and
//! not `/-/ready`, because a supervisor restarts what is unhealthy, and a restart does not help
//! while a broker is down. One request on a connection that the server closes needs no HTTP client.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::output::stdout::print_line;

/// The address of a daemon without a configured one.
const DEFAULT_URL: &str = "http://127.0.0.1:10987";

/// The longest wait for a connection and for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are read: its status stands in the first line.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Arguments of `pegel health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Address of the daemon
    #[arg(
        long,
        value_name = "URL",
        value_parser = authority,
        env = "PEGEL__WEB__LISTEN_ADDRESS",
        default_value = DEFAULT_URL
    )]
    url: String,
}

/// A daemon that does not serve.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    /// The host name has no address.
    #[error("{address} has no address")]
    NoAddress {
        /// Host and port.
        address: String,
    },
    /// No connection, or no answer in time.
    #[error("no answer from {address}")]
    NoAnswer {
        /// Host and port.
        address: String,
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
    let address = reachable(&args.url);
    let status = status_line(&address)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(HealthError::NotHealthy { address, status }.into());
    }
    print_line(format_args!("pegel at {address} is healthy"))?;
    Ok(Exit::Ok)
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
fn status_line(address: &str) -> Result<String, HealthError> {
    let no_answer = |source| HealthError::NoAnswer {
        address: address.to_owned(),
        source,
    };
    let socket = address
        .to_socket_addrs()
        .map_err(no_answer)?
        .next()
        .ok_or_else(|| HealthError::NoAddress {
            address: address.to_owned(),
        })?;
    let request =
        format!("GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    TcpStream::connect_timeout(&socket, TIMEOUT)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.write_all(request.as_bytes())?;
            stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)
        })
        .map_err(no_answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
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
