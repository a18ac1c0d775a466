//! Group commit: what the network functions want written, in as few transactions as the disk allows.
//!
//! While one transaction is on its way to the disk, whatever comes queues, and is the next one. One phone alone waits for one
//! commit; a thousand phones at once wait for two.

use crate::batch;
use crate::keys::MasterKey;
use coeur_nf::store::{StoreError, StoreOp, StoreReply};
use sqlx::SqlitePool;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most operations that are queued or under way. One beyond is answered with [`StoreError::Unavailable`] at once.
pub const OPERATIONS_MAX: usize = 65_536;

/// Most operations of one transaction: what is queued beyond waits for the next, so that the first are not kept waiting.
const TRANSACTION_OPERATIONS_MAX: usize = 4_096;

/// A reply, and whose it is.
pub type Tagged<T> = (T, Result<StoreReply, StoreError>);

/// Carries out operations in groups, in the order in which they are submitted. Dropping it ends its task once the queue is done.
#[derive(Debug)]
pub struct Writer<T> {
    operations: mpsc::Sender<Vec<(T, StoreOp)>>,
    replies: mpsc::Receiver<Vec<Tagged<T>>>,
    refused: Vec<Tagged<T>>,
    outstanding: usize,
}

impl<T: Send + 'static> Writer<T> {
    pub(crate) fn start(pool: SqlitePool, keys: Arc<MasterKey>) -> Self {
        // A queued group has at least one operation, so the queues never hold more groups than there are operations.
        let (operations, submitted) = mpsc::channel(OPERATIONS_MAX);
        let (done, replies) = mpsc::channel(OPERATIONS_MAX);
        tokio::spawn(commit_groups(pool, keys, submitted, done));
        Self { operations, replies, refused: Vec::new(), outstanding: 0 }
    }

    /// Queues operations. Their replies come in the same order.
    pub fn submit(&mut self, operations: Vec<(T, StoreOp)>) {
        if operations.is_empty() {
            return;
        }
        let count = operations.len();
        if self.outstanding + count > OPERATIONS_MAX {
            return self.refuse(operations, "more operations are waiting than it may keep");
        }
        match self.operations.try_send(operations) {
            Ok(()) => self.outstanding += count,
            Err(error) => self.refuse(error.into_inner(), "it has stopped"),
        }
    }

    fn refuse(&mut self, operations: Vec<(T, StoreOp)>, why: &str) {
        let refusal = |(tag, _)| (tag, Err(StoreError::Unavailable(why.to_owned())));
        self.refused.extend(operations.into_iter().map(refusal));
    }

    /// Waits for replies, and appends all that have come. Safe to cancel. Without anything outstanding it waits for ever.
    pub async fn replies(&mut self, into: &mut Vec<Tagged<T>>) {
        if !self.refused.is_empty() {
            into.append(&mut self.refused);
            return;
        }
        match self.replies.recv().await {
            Some(mut group) => {
                self.outstanding -= group.len();
                into.append(&mut group);
            }
            None => std::future::pending().await,
        }
        while let Ok(mut group) = self.replies.try_recv() {
            self.outstanding -= group.len();
            into.append(&mut group);
        }
    }

    /// How many operations have no reply yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }
}

/// The writer's task.
async fn commit_groups<T: Send>(
    pool: SqlitePool,
    keys: Arc<MasterKey>,
    mut submitted: mpsc::Receiver<Vec<(T, StoreOp)>>,
    done: mpsc::Sender<Vec<Tagged<T>>>,
) {
    while let Some(mut group) = submitted.recv().await {
        while group.len() < TRANSACTION_OPERATIONS_MAX {
            let Ok(more) = submitted.try_recv() else { break };
            group.extend(more);
        }
        let (tags, operations): (Vec<T>, Vec<StoreOp>) = group.into_iter().unzip();
        let count = operations.len();
        let replies = match batch::carry_out(&pool, &keys, operations).await {
            Ok(replies) => replies,
            Err(error) => {
                tracing::error!(%error, operations = count, "a transaction failed: nothing of it was written");
                vec![Err(StoreError::Unavailable(error.to_string())); count]
            }
        };
        if done.send(tags.into_iter().zip(replies).collect()).await.is_err() {
            return;
        }
    }
}
