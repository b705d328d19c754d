//! Whom a payload is stored for.
//!
//! The SDK tells a codec nothing about the call that a payload belongs to. Interceptors know, and
//! leave a note that the codec finds: in the task's scope while a client call or an activity runs,
//! under the task's ID for what the SDK encodes after an activity has returned.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::task;

use crate::driver::{StorageDriverTargetInfo, StorageDriverWorkflowInfo};

tokio::task_local! {
    static TARGET: StorageDriverTargetInfo;
}

/// Notes of activities that have ended. Not all are taken: an activity may end without a payload.
/// The oldest are dropped then; nothing but the key's prefix depends on them.
const MOST_NOTES: usize = 1024;

#[derive(Default)]
struct Notes {
    by_task: HashMap<task::Id, StorageDriverTargetInfo>,
    order: VecDeque<task::Id>,
}

static NOTES: Mutex<Option<Notes>> = Mutex::new(None);

/// Runs `future` such that what it stores is stored for `target`.
///
/// Clients and workers with storage do this by themselves. It is for calls that the SDK's
/// interceptors do not see. Cancel safe if `future` is.
pub async fn stored_for<F: Future>(target: StorageDriverTargetInfo, future: F) -> F::Output {
    TARGET.scope(target, future).await
}

/// The target of whatever the calling task encodes now.
pub(crate) fn current() -> Option<StorageDriverTargetInfo> {
    TARGET.try_with(Clone::clone).ok().or_else(|| {
        let id = task::try_id()?;
        let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        notes.as_ref()?.by_task.get(&id).cloned()
    })
}

/// A workflow in `namespace`, of which nothing else is known.
pub(crate) fn some_workflow(namespace: &str) -> StorageDriverTargetInfo {
    StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
        namespace: namespace.to_owned(),
        ..Default::default()
    })
}

/// Notes the target for what the calling task encodes from now on, outside of any scope.
#[cfg_attr(not(any(feature = "worker", test)), allow(dead_code, reason = "activities need it"))]
pub(crate) fn note_for_this_task(target: StorageDriverTargetInfo) {
    let Some(id) = task::try_id() else { return };
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let notes = notes.get_or_insert_default();
    if notes.by_task.insert(id, target).is_none() {
        notes.order.push_back(id);
    }
    while notes.order.len() > MOST_NOTES {
        if let Some(oldest) = notes.order.pop_front() {
            notes.by_task.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_target_holds_in_its_scope_and_nowhere_else() {
        let target = some_workflow("inside");
        assert_eq!(stored_for(target.clone(), async { current() }).await, Some(target));
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn a_noted_target_holds_for_the_rest_of_its_task_and_for_no_other_task() {
        let noted = tokio::spawn(async {
            note_for_this_task(some_workflow("noted"));
            tokio::task::yield_now().await;
            current()
        });
        assert_eq!(noted.await.unwrap(), Some(some_workflow("noted")));
        assert_eq!(tokio::spawn(async { current() }).await.unwrap(), None);
    }

    #[tokio::test]
    async fn notes_that_nobody_takes_do_not_pile_up() {
        for _ in 0..MOST_NOTES + 10 {
            tokio::spawn(async { note_for_this_task(some_workflow("n")) }).await.unwrap();
        }
        let notes = NOTES.lock().unwrap();
        let notes = notes.as_ref().unwrap();
        assert_eq!((notes.by_task.len(), notes.order.len()), (MOST_NOTES, MOST_NOTES));
    }
}
