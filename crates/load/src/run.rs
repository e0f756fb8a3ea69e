//! The generator: connections that post the requests of a batch, each one request at a time.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::batch::{Batch, RequestBuffer};
use super::http;
use super::schedule::{RequestQueue, Schedule};

/// The delay after a failed attempt to connect.
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(20);
/// The initial size of the read buffer. No successful response is longer.
const MAX_ANSWER_BYTES: usize = 1024;

/// How to send a batch.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of connections; each carries one request at a time.
    pub connections: usize,
    /// Requests per second, on a constant schedule. `None` runs a closed loop: each connection sends its next request
    /// when it has the response to the previous one.
    pub rate: Option<f64>,
    /// The run ends if there is no progress for this long although responses are outstanding.
    pub stall_timeout: Duration,
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The generator cannot connect to the bridge.
    #[error("cannot connect to the bridge: {0}")]
    Connect(io::Error),
    /// The thread that keeps the schedule cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl Load {
    /// Sends every request of the batch. Returns when each request has its response or has lost its connection, or when
    /// there was no progress for [`stall_timeout`](Self::stall_timeout). The batch's ledger has the results. Continues
    /// may still be outstanding: [`Ledger::settled`](super::Ledger::settled) waits for them.
    ///
    /// If a connection breaks, the generator reconnects but does not resend the request.
    ///
    /// # Errors
    /// The run did not begin.
    pub async fn run(&self, batch: &Arc<Batch>) -> Result<(), LoadError> {
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections.min(batch.len()) {
            streams.push(connect(batch).await.map_err(LoadError::Connect)?);
        }
        let queue = match self.rate {
            None => RequestQueue::closed(batch.len()),
            Some(rate) => {
                let schedule = Schedule::new(Instant::now(), rate);
                RequestQueue::open(batch.len(), schedule, streams.len()).map_err(LoadError::Thread)?
            }
        };
        let mut connections = JoinSet::new();
        for stream in streams {
            connections.spawn(connection(stream, batch.clone(), queue.clone()));
        }
        let ended = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = async { while self.is_waiting_for_time(batch).await {} } => {}
        }
        Ok(())
    }

    /// Waits until there is no progress for `stall_timeout`. Returns whether the only reason is that no request is due.
    async fn is_waiting_for_time(&self, batch: &Batch) -> bool {
        batch.ledger().reaches(self.stall_timeout, |_| false).await;
        let count = batch.ledger().count();
        self.rate.is_some() && count.sent == count.answered && count.sent < batch.len()
    }
}

async fn connect(batch: &Batch) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(batch.target().address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connection(mut stream: TcpStream, batch: Arc<Batch>, queue: Arc<RequestQueue>) {
    let ledger = batch.ledger();
    let (mut buffer, mut answer) = (RequestBuffer::default(), Vec::with_capacity(MAX_ANSWER_BYTES));
    while let Some((index, due)) = queue.next().await {
        batch.write(index, &mut buffer);
        // A bridge closes idle connections. Like any client, this one checks for that before it writes.
        if matches!(stream.try_read(&mut [0]), Ok(0)) {
            stream = reconnect(&batch).await;
        }
        let now = Instant::now();
        ledger.note_sent(index, due.unwrap_or(now), now);
        let keep = match exchange(&mut stream, &buffer, &mut answer).await {
            Ok((status, keep)) => {
                ledger.note_answered(index, status, Instant::now());
                keep
            }
            Err(_broken) => {
                ledger.note_broken(index);
                false
            }
        };
        if !keep {
            stream = reconnect(&batch).await;
        }
    }
}

/// Retries until it is connected. The run's `stall_timeout` bounds this.
async fn reconnect(batch: &Batch) -> TcpStream {
    loop {
        match connect(batch).await {
            Ok(stream) => return stream,
            Err(_refused) => tokio::time::sleep(CONNECT_RETRY_DELAY).await,
        }
    }
}

/// Sends one request. Returns the status, and whether the connection stays open.
async fn exchange(
    stream: &mut TcpStream,
    buffer: &RequestBuffer,
    answer: &mut Vec<u8>,
) -> io::Result<(u16, bool)> {
    stream.write_all(buffer.request.as_bytes()).await?;
    answer.clear();
    loop {
        if let Some(head) = http::read(answer).map_err(io::Error::other)? {
            return Ok((http::status(head.line).map_err(io::Error::other)?, !head.closes));
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
