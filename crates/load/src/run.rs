//! The generator: connections that post the requests of a batch, one at a time each.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::batch::{Batch, Paper};
use super::http;
use super::schedule::{Schedule, Turns};

/// Before a bridge that refuses connections is tried again.
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(20);
/// No answer to a request that went well is longer.
const MAX_ANSWER_BYTES: usize = 1024;

/// How a batch is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections; each carries one request at a time.
    pub connections: usize,
    /// Requests per second by a constant schedule. `None`: a closed loop, in which each connection sends its next
    /// request when the last one was answered.
    pub rate: Option<f64>,
    /// The run ends when nothing moved for this long although answers are outstanding.
    pub stall_timeout: Duration,
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no connection to the bridge.
    #[error("cannot connect to the bridge: {0}")]
    Connect(io::Error),
    /// The thread that keeps the schedule cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl Load {
    /// Sends every request of the batch; returns when each was answered, or broken with its connection, or when
    /// nothing moved for [`stall_timeout`](Self::stall_timeout). The batch's ledger says what came of it. Continues may
    /// still be on their way: [`Ledger::settled`](super::Ledger::settled) waits for them.
    ///
    /// A request whose connection broke is not sent again, and its connection is made anew.
    ///
    /// # Errors
    /// The run did not begin.
    pub async fn run(&self, batch: &Arc<Batch>) -> Result<(), LoadError> {
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections.min(batch.len()) {
            streams.push(connect(batch).await.map_err(LoadError::Connect)?);
        }
        let turns = match self.rate {
            None => Turns::closed(batch.len()),
            Some(rate) => {
                let schedule = Schedule::new(Instant::now(), rate);
                Turns::open(batch.len(), schedule, streams.len()).map_err(LoadError::Thread)?
            }
        };
        let mut connections = JoinSet::new();
        for stream in streams {
            connections.spawn(connection(stream, batch.clone(), turns.clone()));
        }
        let ended = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = async { while self.is_waiting_for_time(batch).await {} } => {}
        }
        Ok(())
    }

    /// Waits until nothing moves; whether that is only because nothing is due.
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

async fn connection(mut stream: TcpStream, batch: Arc<Batch>, turns: Arc<Turns>) {
    let ledger = batch.ledger();
    let (mut paper, mut answer) = (Paper::default(), Vec::with_capacity(MAX_ANSWER_BYTES));
    while let Some((index, due)) = turns.take().await {
        batch.write(index, &mut paper);
        // A bridge closes connections that say nothing for long. As any client, this one sees it before it writes.
        if matches!(stream.try_read(&mut [0]), Ok(0)) {
            stream = connect_again(&batch).await;
        }
        let now = Instant::now();
        ledger.note_sent(index, due.unwrap_or(now), now);
        let keep = match exchange(&mut stream, &paper, &mut answer).await {
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
            stream = connect_again(&batch).await;
        }
    }
}

/// Tries until there is a connection; the run's `stall_timeout` is the limit.
async fn connect_again(batch: &Batch) -> TcpStream {
    loop {
        match connect(batch).await {
            Ok(stream) => return stream,
            Err(_refused) => tokio::time::sleep(CONNECT_RETRY_DELAY).await,
        }
    }
}

/// One request and its status, and whether the connection can be used again.
async fn exchange(stream: &mut TcpStream, paper: &Paper, answer: &mut Vec<u8>) -> io::Result<(u16, bool)> {
    stream.write_all(paper.request.as_bytes()).await?;
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
