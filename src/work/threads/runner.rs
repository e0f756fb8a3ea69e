//! A thread that polls attempts, one poll after the other. It owns none of them: between two polls, any other thread may
//! take an attempt, so a thread that a handler blocks holds up only that handler's attempt.

use std::sync::Arc;

use super::queue::Queue;

/// Polls attempts until the queue ends this thread.
pub(super) fn run(queue: &Arc<Queue>, id: usize) {
    // For the code that runs outside a poll, such as the destructors of a cancelled attempt.
    let _context = queue.runtime().enter();
    while let Some(task) = queue.next(id) {
        task.run();
    }
}
