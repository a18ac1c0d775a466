//! Group commit: what is queued while one transaction is being committed becomes the next one.
//!
//! The price of a commit is a write to disk that has to be waited for; the more operations share it, the less each pays.
//! So there is no timer: an idle store commits a lone operation at once, a busy one commits thousands together.

use crate::group::{self, Memory};
use crate::seal::Sealer;
use coeur_nf::store::{StoreError, StoreOp, StoreReply};
use sqlx::SqlitePool;
use std::collections::VecDeque;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Most operations of one transaction.
pub const GROUP_OPERATIONS_MAX: usize = 4_096;
/// Most operations that are queued or being committed; one more is refused as [`StoreError::Unavailable`].
pub const OUTSTANDING_MAX: usize = 65_536;
/// Most groups whose replies nobody has taken yet; then no further group is begun.
const REPLIES_MAX: usize = 16;

type Reply<T> = (T, Result<StoreReply, StoreError>);

/// A queue into the store. Each operation has a tag that comes back with its reply.
///
/// Operations are carried out, and replies come, in the order in which they were submitted. Dropped, it commits what is
/// queued, and the replies are lost.
pub struct Writer<T> {
    operations: mpsc::Sender<(T, StoreOp)>,
    replies: mpsc::Receiver<Vec<Reply<T>>>,
    refused: VecDeque<Reply<T>>,
    outstanding: usize,
}

pub(crate) fn start<T: Send + 'static>(
    pool: SqlitePool,
    sealer: Sealer,
    closing: &watch::Sender<bool>,
) -> (Writer<T>, JoinHandle<()>) {
    let (operations, queue) = mpsc::channel(OUTSTANDING_MAX);
    let (done, replies) = mpsc::channel(REPLIES_MAX);
    let worker = tokio::spawn(work(pool, sealer, closing.subscribe(), queue, done));
    (Writer { operations, replies, refused: VecDeque::new(), outstanding: 0 }, worker)
}

impl<T> Writer<T> {
    /// Queues operations. Never waits: what there is no room for gets its reply at once.
    pub fn submit(&mut self, operations: Vec<(T, StoreOp)>) {
        for (tag, operation) in operations {
            let room = self.outstanding < OUTSTANDING_MAX;
            let refusal = match self.operations.try_send((tag, operation)) {
                Ok(()) if room => {
                    self.outstanding += 1;
                    continue;
                }
                // Never so: the channel holds no more than are outstanding.
                Ok(()) => continue,
                Err(mpsc::error::TrySendError::Full((tag, _))) => (tag, "too many operations wait to be committed"),
                Err(mpsc::error::TrySendError::Closed((tag, _))) => (tag, "the store is closed"),
            };
            self.refused.push_back((refusal.0, Err(StoreError::Unavailable(refusal.1.to_owned()))));
        }
    }

    /// Waits for replies and adds them to `replies`. Safe to cancel.
    pub async fn replies(&mut self, replies: &mut Vec<Reply<T>>) {
        if !self.refused.is_empty() {
            replies.extend(self.refused.drain(..));
            return;
        }
        match self.replies.recv().await {
            Some(group) => {
                self.outstanding = self.outstanding.saturating_sub(group.len());
                replies.extend(group);
            }
            // The store is closed: nothing that was submitted is without a reply, and nothing more will come.
            None => std::future::pending().await,
        }
    }

    /// Operations that are queued or being committed.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }
}

async fn work<T>(
    pool: SqlitePool,
    sealer: Sealer,
    mut closing: watch::Receiver<bool>,
    mut queue: mpsc::Receiver<(T, StoreOp)>,
    done: mpsc::Sender<Vec<Reply<T>>>,
) {
    let mut memory = Memory::default();
    let mut batch = Vec::new();
    loop {
        let closed = tokio::select! {
            biased;
            count = queue.recv_many(&mut batch, GROUP_OPERATIONS_MAX) => count == 0,
            _ = closing.wait_for(|closing| *closing) => {
                // What is queued already is still carried out; what comes now is refused.
                queue.close();
                continue;
            }
        };
        if closed {
            return;
        }
        let (tags, operations): (Vec<T>, Vec<StoreOp>) = batch.drain(..).unzip();
        let results = group::carry_out(&pool, &sealer, &mut memory, &operations).await;
        // Nobody there to be told: it is committed all the same.
        let _ = done.send(tags.into_iter().zip(results).collect()).await;
    }
}
