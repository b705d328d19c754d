//! The memory that diagnoses have from one invocation of an environment to the next.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many activities are remembered at most, in each of the two lists: 100.
const REMEMBERED: usize = 100;
/// After how many invocations without a task the next one without asks why: 2.
const IN_A_ROW: u32 = 2;

/// The memory of an environment. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    /// Invocations in a row without a task since the server was last asked why.
    without_task: u32,
    /// Whether a diagnosis said why no task comes, and none has come since.
    is_said: bool,
    /// The server's message to a refused poll of the last invocation.
    refusal: Option<String>,
    /// The activity types that a diagnosis called too long.
    too_long: HashSet<String>,
    /// How long activities had run when the end of an invocation cut them off.
    cut_off: HashMap<String, Duration>,
}

impl Memory {
    /// Whether an invocation that has no task asks why.
    pub(super) fn wants_to_know_why(&self) -> bool {
        let remembered = self.lock();
        !remembered.is_said && (remembered.without_task >= IN_A_ROW || remembered.refusal.is_some())
    }

    /// Notes that the server was asked why no task comes.
    pub(super) fn is_answered(&self) {
        self.lock().without_task = 0;
    }

    /// Whether a diagnosis should say why no task comes: once, until a task has come.
    pub(super) fn says_why(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_said, true)
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.lock().refusal.clone()
    }

    /// Notes the end of an invocation that has polled.
    pub(super) fn invocation_ends(&self, has_worked: bool, asked: bool, refusal: Option<String>) {
        let mut remembered = self.lock();
        remembered.refusal = refusal;
        if has_worked {
            remembered.without_task = 0;
            remembered.is_said = false;
        } else if !asked {
            remembered.without_task = remembered.without_task.saturating_add(1);
        }
    }

    /// Whether a diagnosis should say that activities of this type are too long: once.
    pub(super) fn says_too_long(&self, activity_type: &str) -> bool {
        let known = &mut self.lock().too_long;
        if known.len() == REMEMBERED || known.contains(activity_type) {
            return false;
        }
        known.insert(activity_type.to_owned())
    }

    pub(super) fn keep_cut_off(&self, activity: String, after: Duration) {
        let cut_off = &mut self.lock().cut_off;
        if cut_off.len() < REMEMBERED {
            cut_off.insert(activity, after);
        }
    }

    /// How long this activity had run when it was cut off, if it was. Taking it forgets it.
    pub(super) fn take_cut_off(&self, activity: &str) -> Option<Duration> {
        self.lock().cut_off.remove(activity)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_invocation_in_a_row_without_a_task_asks_why_and_after_an_answer_the_third_again() {
        let memory = Memory::default();
        for _ in 0..2 {
            assert!(!memory.wants_to_know_why());
            memory.invocation_ends(false, false, None);
        }
        assert!(memory.wants_to_know_why());
        memory.invocation_ends(false, false, None);
        assert!(memory.wants_to_know_why(), "the last question had no answer");
        memory.is_answered();
        memory.invocation_ends(false, true, None);
        for _ in 0..2 {
            assert!(!memory.wants_to_know_why());
            memory.invocation_ends(false, false, None);
        }
        assert!(memory.wants_to_know_why());
        memory.invocation_ends(true, false, None);
        assert!(!memory.wants_to_know_why(), "a task came");
    }

    #[test]
    fn an_invocation_after_refused_polls_asks_at_once() {
        let memory = Memory::default();
        memory.invocation_ends(false, false, Some("no".to_owned()));
        assert!(memory.wants_to_know_why());
        assert_eq!(memory.refusal().as_deref(), Some("no"));
    }

    #[test]
    fn a_diagnosis_is_made_once_until_a_task_has_come() {
        let memory = Memory::default();
        assert!(memory.says_why());
        assert!(!memory.says_why());
        for _ in 0..4 {
            memory.invocation_ends(false, false, None);
        }
        assert!(!memory.wants_to_know_why(), "the server is not asked again");
        memory.invocation_ends(true, false, None);
        assert!(memory.says_why());
    }

    #[test]
    fn activities_are_remembered_up_to_a_limit() {
        let memory = Memory::default();
        assert!(memory.says_too_long("0") && !memory.says_too_long("0"));
        for number in 0..2 * REMEMBERED {
            memory.says_too_long(&number.to_string());
            memory.keep_cut_off(number.to_string(), Duration::ZERO);
        }
        assert!(!memory.says_too_long("never seen"));
        assert_eq!(memory.take_cut_off("0"), Some(Duration::ZERO));
        assert_eq!(memory.take_cut_off("0"), None);
        assert_eq!(memory.take_cut_off(&REMEMBERED.to_string()), None);
    }
}
