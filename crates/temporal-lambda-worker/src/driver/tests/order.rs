//! The order of callbacks whose tasks are polled in another order.

use futures_util::FutureExt as _;
use lambda_runtime::Context;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::super::Message;
use super::super::callbacks::{self, Keeper};
use super::ms;
use crate::config::LambdaWorkerConfig;
use crate::hooks::{Shutdown, ShutdownHooks};
use crate::invocation::Invocation;
use crate::report::{InvocationReport, Reason};

/// Each callback has been cut short before it begins, so that the next does not wait for it to end.
#[tokio::test]
async fn callbacks_begin_in_the_order_in_which_they_were_started() {
    let keeper = Keeper::new(Box::new(|| |_: &mut LambdaWorkerConfig| Ok(())));
    let (messages, mut heard) = unbounded_channel();
    let ending = Shutdown {
        reason: Reason::Failed,
        invocation: Invocation::arriving(&Context::default(), true),
        report: InvocationReport::default(),
        on_shutdown_is_default: Default::default(),
        timeline: Vec::new(),
        time_allowed: ms(0),
    };
    let abort = CancellationToken::new();
    abort.cancel();
    let mut hooks = ShutdownHooks::default();
    let hook = |number| {
        hooks.add("hook", |_| async { Ok(()) });
        let Some(hook) = hooks.take(number) else { panic!("no hook {number}") };
        let (place, messages) = (keeper.queue.join(), messages.clone());
        callbacks::hook(place, number, hook, ending.clone(), abort.clone(), messages).boxed()
    };
    let mut tasks: Vec<_> = (0..2).map(hook).collect();
    let none = ShutdownHooks::default();
    let last = callbacks::on_shutdown(keeper.clone(), none, ending, abort, messages);
    tasks.push(last.boxed());

    for (number, task) in tasks.iter_mut().enumerate().rev() {
        assert_eq!(task.now_or_never().is_some(), number == 0, "callback {number}");
    }
    for task in &mut tasks[1..] {
        assert!(task.now_or_never().is_some());
    }
    assert!(matches!(heard.try_recv(), Ok(Message::HookEnded(0, _))));
    assert!(matches!(heard.try_recv(), Ok(Message::HookEnded(1, _))));
    assert!(matches!(heard.try_recv(), Ok(Message::ShutdownEnded(_))));
}
