//! Workers of closures, and hooks of plain functions.

#[path = "support/nothing.rs"]
mod nothing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::UnderTest;
use temporal_lambda_testkit::context::TestContext;
use temporal_lambda_testkit::frontend::MockFrontend;
use temporal_lambda_worker::report::CallbackOutcome;
use temporal_lambda_worker::{
    BoxError, InvocationReport, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, Reason,
    from_fn, with_resource,
};

use nothing::Nothing;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().expect("nobody panicked").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panicked"))
    }
}

async fn invoke<W: LambdaWorker>(worker: W) -> Result<InvocationReport, LambdaWorkerError> {
    let frontend = MockFrontend::new();
    let handler = UnderTest::new(worker, &frontend).until_idle(Duration::ZERO).handler()?;
    handler.handle(TestContext::new().event(())).await
}

async fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    tokio::task::yield_now().await;
    config.set_task_queue("closures").register_activities(Nothing);
    Ok(())
}

#[tokio::test]
async fn an_async_function_is_a_worker() {
    let _limit = TimeLimit::of_this_test();
    let report = invoke(from_fn(|config| Box::pin(configure(config)))).await.unwrap();
    assert_eq!((report.reason, &*report.task_queue), (Some(Reason::Idle), "closures"));
}

#[tokio::test]
async fn an_async_closure_with_state_is_a_worker() {
    let _limit = TimeLimit::of_this_test();
    // Neither need be `Sync`.
    let (log, count) = (Log::default(), std::cell::Cell::new(7));
    let (noting, state) = (log.clone(), count);
    let worker = from_fn(move |config| {
        state.set(state.get() + 1);
        let (log, count) = (noting.clone(), state.get());
        Box::pin(async move {
            log.add(count.to_string());
            configure(config).await
        })
    });
    let report = invoke(worker.clone()).await.unwrap();
    assert_eq!(report.reason, Some(Reason::Idle));
    invoke(worker).await.unwrap();
    assert_eq!(log.take(), ["8", "8"], "each invocation has its own clone of the closure");
}

#[tokio::test]
async fn a_resource_is_opened_before_the_hooks_and_closed_after_them() {
    let _limit = TimeLimit::of_this_test();
    struct NotClone(Log);
    let log = Log::default();
    let opening = log.clone();
    let worker = with_resource(
        move |config| {
            let log = opening.clone();
            Box::pin(async move {
                configure(config).await?;
                log.add("open");
                let hook = log.clone();
                config.shutdown_hooks.add("hook", |_| async move {
                    hook.add("hook");
                    Ok(())
                });
                Ok(NotClone(log))
            })
        },
        |resource: NotClone, ending| async move {
            resource.0.add(format!("close: {}", ending.reason.name()));
            Ok(())
        },
    );
    for _ in 0..2 {
        let report = invoke(worker.clone()).await.unwrap();
        assert_eq!(log.take(), ["open", "hook", "close: idle"]);
        assert_eq!(report.on_shutdown, Some(CallbackOutcome::Ok));
    }
}

#[tokio::test]
async fn what_was_not_opened_is_not_closed() {
    let _limit = TimeLimit::of_this_test();
    let log = Log::default();
    let closing = log.clone();
    let worker = with_resource(
        |_| Box::pin(async { Err::<(), BoxError>("no lease".into()) }),
        move |(), _| {
            closing.add("close");
            async { Ok(()) }
        },
    );
    let error = invoke(worker).await.unwrap_err();
    assert_eq!(error.fault().error_type(), "ConfigureFailed");
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test]
async fn a_plain_function_is_a_hook_with_or_without_a_result() {
    let _limit = TimeLimit::of_this_test();
    let log = Log::default();
    let noting = log.clone();
    let worker = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        config.set_task_queue("closures").register_activities(Nothing);
        let log = noting.clone();
        config.shutdown_hooks.add_fn("plain", move || log.add("plain"));
        config.shutdown_hooks.add_fn("fails", || Err::<(), _>(std::fmt::Error));
        config.shutdown_hooks.add_fn("succeeds", || Ok::<(), BoxError>(()));
        Ok(())
    };
    let report = invoke(worker).await.unwrap();
    assert_eq!(log.take(), ["plain"]);
    let [plain, fails, succeeds] = &report.hooks[..] else { panic!("{report:?}") };
    assert_eq!((&plain.outcome, &succeeds.outcome), (&CallbackOutcome::Ok, &CallbackOutcome::Ok));
    assert_eq!(fails.outcome.message(), Some(&*std::fmt::Error.to_string()));
}
