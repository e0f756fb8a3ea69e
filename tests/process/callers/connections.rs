//! Tests with very many connections, and with endless requests.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::{ends_well, heard, is_served, open, simulator, statuses};
use crate::home::Home;
use crate::serve::Serve;

/// The bridge's peak memory so far, in MiB.
fn peak(serve: &Serve) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", serve.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_cost_little_memory_and_do_not_block_a_bot() {
    let simulator = simulator().await;
    let home = Home::new(
        &simulator,
        "server.read_timeout = \"5m\"\nserver.max_connections = 11000\ndelivery.concurrency = 16",
    );
    let serve = home.serve();
    // This process holds one end of each connection, besides the open files of other tests. The bridge holds the other end.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let many = usize::try_from(limit.saturating_sub(2_000).min(10_000)).unwrap();
    assert!(many > 1_000, "raise the limit on open files (ulimit -n) to 4,000 or more: it is {limit}");
    let before = peak(&serve);
    let opened: Vec<_> =
        (0..many).map(|_| open(serve.public, b"POST /widget_request/echo HTTP/1.1\r\nX-Slow: ")).collect();
    is_served(&simulator, &serve).await;
    let each_kib = (peak(&serve) - before) * 1024 / many as u64;
    assert!(each_kib < 48, "{each_kib} KiB for each of {many} connections");
    drop(opened);
    is_served(&simulator, &serve).await;
    ends_well(serve);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_requests_are_cut_off_and_cost_little_memory() {
    let simulator = simulator().await;
    let home = Home::new(&simulator, "server.read_timeout = \"1s\"");
    let serve = home.serve();
    let before = peak(&serve);
    let begun = Instant::now();
    let flood = |head: &'static str, piece: Vec<u8>| {
        let address = serve.public;
        std::thread::spawn(move || {
            let mut stream = open(address, head.as_bytes());
            let mut sent = 0_usize;
            while begun.elapsed() < Duration::from_secs(30) && stream.write_all(&piece).is_ok() {
                sent += piece.len();
            }
            (sent, heard(stream))
        })
    };
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    let chunked = "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let head = "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nX-A: ";
    let floods: Vec<_> = (0..8)
        .flat_map(|_| {
            [
                flood(chunked, chunk.clone()),
                flood(long, vec![b'x'; 0x10000]),
                flood(head, vec![b'x'; 0x10000]),
            ]
        })
        .collect();
    is_served(&simulator, &serve).await;
    for flood in floods {
        let (sent, answer) = flood.join().unwrap();
        assert!(sent < 16 << 20, "the bridge read {sent} bytes");
        assert!(statuses(&answer).iter().all(|status| (400..500).contains(status)), "{answer}");
    }
    let grown = peak(&serve) - before;
    assert!(grown < 64, "{grown} MiB for 24 endless requests");
    is_served(&simulator, &serve).await;
    ends_well(serve);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hang_up_at_any_byte_leave_nothing_behind() {
    let simulator = simulator().await;
    let home = Home::new(&simulator, "server.read_timeout = \"60s\"\nserver.max_connections = 8");
    let serve = home.serve();
    let whole = super::request(&super::bot(&simulator), &serve, "");
    // There are only 8 slots for many callers, so a slot that is not freed shows at once.
    for end in (0..whole.len()).step_by(7) {
        let stream: TcpStream = open(serve.public, &whole[..end]);
        if end % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(statuses(&heard(stream)).iter().all(|status| *status == 400));
        }
    }
    is_served(&simulator, &serve).await;
    assert_eq!(super::jobs(&serve).await, 1);
    ends_well(serve);
}
