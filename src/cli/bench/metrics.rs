//! The bridge's own metrics of its commits.

use std::net::SocketAddr;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The commits of a bridge since its start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Commits {
    /// The number of transactions.
    pub(super) count: f64,
    /// The mean duration of a transaction, in milliseconds.
    pub(super) mean_ms: f64,
    /// The mean number of operations in a transaction.
    pub(super) mean_operations: f64,
}

/// Reads the metrics from the admin listener; `None` if they are unavailable.
pub(super) async fn commits(admin: SocketAddr) -> Option<Commits> {
    let mut stream = TcpStream::connect(admin).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    read(&text)
}

fn read(text: &str) -> Option<Commits> {
    let number = |name: &str| -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
    };
    let count = number("bridge_commit_seconds_count")?;
    let mean = |sum: f64| if count > 0.0 { sum / count } else { 0.0 };
    Some(Commits {
        count,
        mean_ms: mean(number("bridge_commit_seconds_sum")? * 1e3),
        mean_operations: mean(number("bridge_commit_operations_sum")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_parsed_from_the_metrics() {
        let text = "# TYPE bridge_commit_seconds summary\nbridge_commit_seconds_sum 0.5\n\
                    bridge_commit_seconds_count 250\nbridge_commit_operations_sum 5000\n";
        assert_eq!(read(text), Some(Commits { count: 250.0, mean_ms: 2.0, mean_operations: 20.0 }));
        assert_eq!(read("bridge_commit_seconds_count 250\n"), None);
    }
}
