//! The workflow tasks that the server has handed out, or is about to.

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message;
use tokio::sync::watch;

/// The workflow tasks of one worker.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<watch::Sender<Known>>);

#[derive(Default)]
struct Known {
    /// Polls under way, each good for a task.
    polls: usize,
    /// The tokens of tasks that nobody has answered yet.
    handed_out: HashSet<Vec<u8>>,
}

impl Tasks {
    /// A poll for a workflow task is under way until the result is dropped.
    pub(super) fn poll_begins(&self) -> UnderWay {
        self.0.send_modify(|known| known.polls += 1);
        UnderWay(self.clone())
    }

    /// The worker has answered a task with the bytes of `request` and was told `response`.
    pub(super) fn answered(&self, request: &[u8], response: Option<&[u8]>) {
        let token = token(request);
        let next = response
            .and_then(|bytes| Completed::decode(bytes).ok())
            .and_then(|completed| completed.workflow_task)
            .map(|task| task.task_token);
        self.0.send_modify(|known| {
            known.handed_out.remove(&token);
            known.handed_out.extend(next.filter(|token| !token.is_empty()));
        });
    }

    /// Waits until no task is handed out, and none can be.
    pub(super) async fn none(&self) {
        let mut known = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = known.wait_for(|known| known.polls == 0 && known.handed_out.is_empty()).await;
    }
}

/// A poll under way.
pub(super) struct UnderWay(Tasks);

impl UnderWay {
    /// The poll was answered with these bytes.
    pub(super) fn ends_with(self, response: &[u8]) {
        let token = token(response);
        if !token.is_empty() {
            // Before the poll counts as ended, so that no moment shows neither.
            self.0.0.send_modify(|known| {
                known.handed_out.insert(token);
            });
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|known| known.polls -= 1);
    }
}

/// What tasks and the answers to them begin with.
#[derive(Clone, PartialEq, Message)]
struct Tasked {
    #[prost(bytes = "vec", tag = "1")]
    task_token: Vec<u8>,
}

/// What the server says to a completed task: it may come with the next.
#[derive(Clone, PartialEq, Message)]
struct Completed {
    #[prost(message, optional, tag = "1")]
    workflow_task: Option<Tasked>,
}

fn token(bytes: &[u8]) -> Vec<u8> {
    Tasked::decode(bytes).map(|tasked| tasked.task_token).unwrap_or_default()
}
