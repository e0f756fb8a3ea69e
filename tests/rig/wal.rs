//! Detects a write-ahead log that ends in the middle of a transaction, which means that a commit was in progress.

const HEADER: usize = 32;
const FRAME: usize = 24;

/// Whether frames of the log's current run follow its last commit. `log` is the whole file.
pub fn ends_inside_a_transaction(log: &[u8]) -> bool {
    let Some(header) = log.get(..HEADER) else { return false };
    let (page, salt) = (number(header, 8) as usize, &header[16..24]);
    let mut open = false;
    for frame in log[HEADER..].chunks(FRAME + page) {
        // Frames of an older run have a different salt.
        let Some(head) = frame.get(..FRAME).filter(|head| &head[8..16] == salt) else { break };
        // A commit frame contains the size of the database after it. A torn frame does not count.
        open = number(head, 4) == 0 || frame.len() < FRAME + page;
    }
    open
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
