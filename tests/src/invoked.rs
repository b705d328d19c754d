//! Invocations: how many it takes until something is done, and what tests ask of each.
//!
//! A busy server may bring a task later than a worker stays for it; then the next invocation has it, as
//! Temporal's Worker Controller would see to. A test that invokes once and waits for a result would hang.

use std::borrow::Borrow;
use std::cell::Cell;

use serde_json::Value;
use temporal_lambda_test_timing::within;
use temporal_lambda_testkit::lambda::{Function, Invocation, Outcome};

/// Invokes a function until `look` finds something: what it found, and the invocations, of which there is
/// one at least. It looks after each of them.
///
/// # Panics
/// When it finds nothing within [`test_timeout`](crate::test_timeout).
pub async fn invoked_until<T>(
    function: &Function,
    what: &str,
    look: impl AsyncFn(&Invocation) -> Option<T>,
) -> (T, Vec<Invocation>) {
    let mut invocations = Vec::new();
    let looking = async {
        loop {
            let invocation = invoke(function).await;
            let found = look(&invocation).await;
            invocations.push(invocation);
            if let Some(found) = found {
                break found;
            }
        }
    };
    let found = within(format!("{what}, of {}", function.name()), looking).await;
    (found, invocations)
}

/// Invokes a function until a task of this kind has this outcome: the invocation in which it has.
///
/// # Panics
/// When there is none within [`test_timeout`](crate::test_timeout).
pub async fn invoked_until_a_task(function: &Function, kind: &str, outcome: &str) -> Invocation {
    let has = async |invocation: &Invocation| {
        (invocation.reported()?["tasks"][kind][outcome] == 1).then_some(())
    };
    let (_, mut invocations) =
        invoked_until(function, &format!("a task, {kind}, that is {outcome}"), has).await;
    invocations.pop().expect("there is one")
}

/// Invokes a function as long as `work` is not done: what came of it, and the invocations.
///
/// # Panics
/// When it is not done within [`test_timeout`](crate::test_timeout).
pub async fn invoked_while<T>(
    function: &Function,
    what: &str,
    work: impl Future<Output = T>,
) -> (T, Vec<Invocation>) {
    let is_done = Cell::new(false);
    let working = async {
        let result = work.await;
        is_done.set(true);
        result
    };
    let invoking = async {
        let mut invocations = Vec::new();
        while !is_done.get() {
            invocations.push(invoke(function).await);
        }
        invocations
    };
    let both = async { tokio::join!(working, invoking) };
    within(format!("{what}, of {}", function.name()), both).await
}

async fn invoke(function: &Function) -> Invocation {
    function.invoke("{}").await.expect("there is an environment")
}

/// How many tasks of a kind had an outcome, in all of these invocations.
pub fn tasks(
    invocations: impl IntoIterator<Item = impl Borrow<Invocation>>,
    kind: &str,
    outcome: &str,
) -> u64 {
    let reports = invocations.into_iter().filter_map(|it| it.borrow().reported());
    reports.filter_map(|it| it["tasks"][kind][outcome].as_u64()).sum()
}

/// What tests ask of an invocation.
pub trait Invoked {
    /// The report of a successful invocation.
    fn report(&self) -> Value;
    /// The same; `None` if the server, as a busy one may, left an answer of the worker without one of its own until
    /// the worker's time was over.
    fn reported(&self) -> Option<Value>;
    /// `errorType` (without the library's prefix) and `errorMessage` of a failed one.
    fn error(&self) -> (String, String);
    /// The identity that the worker should have had.
    fn identity(&self, function: &Function) -> String;
}

impl Invoked for Invocation {
    fn report(&self) -> Value {
        self.json().unwrap_or_else(|| panic!("{}\n{}", self.outcome, self.log_text()))
    }

    fn reported(&self) -> Option<Value> {
        let is_success = self.outcome.is_success();
        if !is_success && self.error().0 == "ServerTrouble" { None } else { Some(self.report()) }
    }

    fn error(&self) -> (String, String) {
        match &self.outcome {
            Outcome::FunctionError { error_type, message, .. } => {
                let kind = error_type.strip_prefix("TemporalLambdaWorker.");
                let kind = kind.unwrap_or_else(|| panic!("{error_type} has no prefix: {message}"));
                (kind.to_owned(), message.clone())
            }
            other => panic!("expected an error of the function, got: {other}\n{}", self.log_text()),
        }
    }

    fn identity(&self, function: &Function) -> String {
        format!("{}@{}", self.request_id, function.arn())
    }
}
