//! What is done for each effect. Whatever takes time becomes a task that knows how to be cut short.

use std::panic::AssertUnwindSafe;

use temporalio_client::Client;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Driver, Message, callbacks, outcome};
use crate::error::Fault;
use crate::lifecycle::{Effect, Input};
use crate::report::{CallbackOutcome, HookReport};
use crate::temporal::{Launched, Ports};
use crate::worker::{LambdaWorker, RunningWorker, Shutdown};

impl<W: LambdaWorker> Driver<W> {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Configure => self.configure(),
            Effect::Connect => self.connect(),
            Effect::CreateWorker => self.create_worker(),
            Effect::OnStart => self.on_start(),
            Effect::Poll => {
                self.first_poll = Some(Instant::now());
                self.with_worker(|worker| worker.poll());
            }
            Effect::AbortStep => self.abort.cancel(),
            Effect::HoldPolls => self.with_worker(|worker| worker.hold_polls()),
            Effect::ResumePolls => self.with_worker(|worker| worker.resume_polls()),
            Effect::StopWorker => {
                self.stop.cancel();
                self.with_worker(|worker| worker.stop());
            }
            Effect::AbandonActivities => self.with_worker(|worker| worker.abandon_activities()),
            Effect::AbandonWorker => self.with_worker(|worker| worker.abandon()),
            Effect::Finalize => self.with_worker(|worker| worker.finalize()),
            Effect::RunHook(number) => self.run_hook(number),
            Effect::OnShutdown => self.on_shutdown(),
            Effect::Settle => self.settle(),
            Effect::WarnShortWork(work) => tracing::warn!(
                request_id = self.invocation.request_id,
                ?work,
                "there is little time for work: raise the function's timeout, or lower \
                 graceful_shutdown_timeout and shutdown_deadline_buffer"
            ),
        }
    }

    fn configure(&mut self) {
        let abort = self.fresh_abort();
        let (Some(config), Some(keeper)) = (self.config.take(), &self.keeper) else { return };
        let task = callbacks::configure(keeper, config, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn connect(&mut self) {
        let Some(config) = &self.config else { return };
        let connecting = self.environment.temporal.connect(config);
        let (abort, messages) = (self.fresh_abort(), self.messages.clone());
        let task = async move {
            let message = tokio::select! {
                biased;
                connected = connecting => match connected {
                    Ok(link) => Message::Connected(link),
                    Err(fault) => Message::Input(Input::Failed(fault)),
                },
                () = abort.cancelled() => return,
            };
            let _ = messages.send(message);
        };
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.sdk);
    }

    fn create_worker(&mut self) {
        let (Some(link), Some(config)) = (&self.link, &self.config) else { return };
        let (inputs, mut said) = unbounded_channel();
        let messages = self.messages.clone();
        // Ends when the worker and all its activities have let go of the sender.
        tokio::spawn(async move {
            while let Some(input) = said.recv().await {
                let _ = messages.send(Message::Input(input));
            }
        });
        let running = self.running.clone();
        let (invocation, next_idle_end) = (self.invocation.clone(), self.idle_end.subscribe());
        let stop = self.machine.stop_at().and_then(|at| self.instant(at));
        let ports = Ports { inputs, running, invocation, stop, next_idle_end };
        self.worker = Some(self.environment.temporal.launch(link, config, ports));
    }

    fn on_start(&mut self) {
        let (Some(link), Some(config)) = (&self.link, &self.config) else { return };
        let (connection, options) = (link.connection.clone(), config.client_options.clone());
        let task_queue = config.worker_options.task_queue.clone();
        let (invocation, stop) = (self.invocation.clone(), self.stop.clone());
        // The client's plugins are the user's code.
        let running = move || {
            let client = Client::new(connection, options)
                .map_err(|error| Fault::WorkerCreation { reason: error.to_string() })?;
            Ok(RunningWorker { client, task_queue, invocation, stop })
        };
        let abort = self.fresh_abort();
        let Some(keeper) = &self.keeper else { return };
        let task = callbacks::on_start(keeper, running, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn run_hook(&mut self, number: usize) {
        // A hook that is there no more, or has run, counts as ended: nothing runs twice.
        let Some(hook) = self.hooks.take(number) else {
            return self.say(Message::Input(Input::HookEnded(number)));
        };
        let ending = self.ending();
        let outcome = CallbackOutcome::TimedOut;
        self.report.hooks.push(HookReport { name: hook.name.clone(), outcome });
        let abort = self.fresh_abort();
        let Some(keeper) = &self.keeper else { return };
        let place = keeper.queue.join();
        let task = callbacks::hook(place, number, hook, ending, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn on_shutdown(&mut self) {
        let ending = self.ending();
        self.report.on_shutdown = Some(CallbackOutcome::TimedOut);
        let abort = self.fresh_abort();
        let (Some(keeper), hooks) = (self.keeper.clone(), self.hooks.clone()) else { return };
        let task = callbacks::on_shutdown(keeper, hooks, ending, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn settle(&mut self) {
        // What is the user's is dropped where the user's code runs: a `Drop` may block or panic.
        let users = (self.keeper.take(), self.config.take(), std::mem::take(&mut self.hooks));
        let dropping = async move {
            if std::panic::catch_unwind(AssertUnwindSafe(|| drop(users))).is_err() {
                tracing::error!("dropping the worker or its configuration panicked");
            }
        };
        self.running.spawn_on(self.scope().around(dropping), &self.environment.threads.user);
        let (running, messages) = (self.running.clone(), self.messages.clone());
        running.close();
        tokio::spawn(async move {
            running.wait().await;
            let _ = messages.send(Message::Input(Input::Settled));
        });
    }

    fn ending(&self) -> Shutdown {
        let report = self.report_so_far();
        let until = self.machine.next_timeout().and_then(|at| self.instant(at));
        let no_on_shutdown = self.environment.on_shutdown_is_default.clone();
        outcome::ending(report, &self.invocation, until, &self.machine, no_on_shutdown)
    }

    fn fresh_abort(&mut self) -> CancellationToken {
        self.abort = CancellationToken::new();
        self.abort.clone()
    }

    fn with_worker(&self, act: impl FnOnce(&dyn Launched)) {
        if let Some(worker) = &self.worker {
            act(worker.as_ref());
        }
    }

    fn say(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}
