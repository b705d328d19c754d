//! The diagnoses of one invocation as its report has them: each of them is in the log, too, and none comes after
//! the worker's end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::report::Diagnosis;

/// How many diagnoses a report has at most: 10.
const MOST: usize = 10;

#[derive(Default)]
pub(super) struct Said(Mutex<Saying>);

#[derive(Default)]
struct Saying {
    diagnoses: Vec<Diagnosis>,
    is_over: bool,
}

impl Said {
    /// Adds a diagnosis and has it logged, if it is `wanted`: nobody reads the diagnoses in between. After the
    /// [end](Self::end) it is not asked whether it is wanted.
    pub(super) fn say(
        &self,
        diagnosis: Diagnosis,
        wanted: impl FnOnce() -> bool,
        log: impl FnOnce(&Diagnosis),
    ) {
        let mut saying = self.lock();
        if saying.is_over || saying.diagnoses.len() == MOST || !wanted() {
            return;
        }
        log(&diagnosis);
        saying.diagnoses.push(diagnosis);
    }

    /// The diagnoses so far.
    pub(super) fn so_far(&self) -> Vec<Diagnosis> {
        self.lock().diagnoses.clone()
    }

    /// Takes no more diagnoses.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
    }

    fn lock(&self) -> MutexGuard<'_, Saying> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::DiagnosisKind;

    fn slots_full() -> Diagnosis {
        Diagnosis { kind: DiagnosisKind::SlotsFull, text: "all 2 were in use".to_owned() }
    }

    #[test]
    fn nobody_reads_a_diagnosis_that_is_not_logged_yet() {
        let said = Said::default();
        let mut logged = Vec::new();
        said.say(
            slots_full(),
            || true,
            |it| {
                assert!(said.0.try_lock().is_err(), "it can be read");
                logged.push(it.clone());
            },
        );
        assert_eq!(said.so_far(), logged);
        assert_eq!(logged, [slots_full()]);
    }

    #[test]
    fn what_comes_after_the_workers_end_is_neither_logged_nor_remembered_as_said() {
        let said = Said::default();
        said.say(slots_full(), || false, |_| panic!("it is not wanted"));
        said.end();
        said.say(slots_full(), || panic!("it is remembered"), |_| panic!("it is logged"));
        assert_eq!(said.so_far(), []);
    }

    #[test]
    fn diagnoses_are_limited() {
        let said = Said::default();
        let mut logged = 0;
        for _ in 0..=MOST {
            said.say(slots_full(), || true, |_| logged += 1);
        }
        assert_eq!((said.so_far().len(), logged), (MOST, MOST));
    }
}
