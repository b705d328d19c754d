//! Carrying out each effect of the machine. What takes time runs as a task that can be cut short.

use std::panic::AssertUnwindSafe;

use temporalio_client::Client;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Driver, Message, Progress, callbacks, outcome};
use crate::error::Fault;
use crate::hooks::Shutdown;
use crate::lifecycle::{Effect, Ending, Input, State};
use crate::report::{CallbackOutcome, HookReport};
use crate::temporal::{Launched, Ports};
use crate::worker::{LambdaWorker, RunningWorker};

/// Something that an effect needs and the invocation does not have.
struct Missing(&'static str);

impl<W: LambdaWorker> Driver<W> {
    pub(super) fn perform(&mut self, effect: Effect) {
        let done = match effect {
            Effect::Configure => self.configure(),
            Effect::Connect => self.connect(),
            Effect::CreateWorker => self.create_worker(),
            Effect::OnStart => self.on_start(),
            Effect::Poll => {
                self.first_poll = Some(Instant::now());
                self.with_worker(|worker| worker.poll())
            }
            Effect::HoldPolls => {
                let idle = self.machine.ending() == Some(Ending::Idle);
                self.with_worker(|worker| worker.hold_polls(idle))
            }
            Effect::ResumePolls => self.with_worker(|worker| worker.resume_polls()),
            Effect::StopWorker => {
                self.stop.cancel();
                self.with_worker(|worker| worker.stop())
            }
            Effect::AbandonActivities => self.with_worker(|worker| worker.abandon_activities()),
            Effect::AbandonWorker => self.with_worker(|worker| worker.abandon()),
            Effect::Finalize => self.with_worker(|worker| worker.finalize()),
            Effect::AbortStep => {
                self.abort.cancel();
                Ok(())
            }
            Effect::RunHook(number) => {
                self.run_hook(number);
                Ok(())
            }
            Effect::OnShutdown => {
                self.on_shutdown();
                Ok(())
            }
            Effect::Settle => {
                self.settle();
                Ok(())
            }
            Effect::WarnShortWork(work) => {
                tracing::warn!(
                    request_id = self.invocation.request_id,
                    ?work,
                    "there is little time for work: raise the function's timeout, or lower \
                     graceful_shutdown_timeout and shutdown_deadline_buffer"
                );
                Ok(())
            }
        };
        if let Err(Missing(what)) = done {
            self.fail_for_a_bug(effect, what);
        }
    }

    /// Ends the invocation with a fault at once. Only a bug in this crate leads here, and without this the
    /// invocation would last to its deadline.
    fn fail_for_a_bug(&self, effect: Effect, missing: &str) {
        let fault = Fault::Internal { what: format!("{effect:?} without {missing}") };
        let has_worker = matches!(self.machine.step().state(), State::Polling | State::Draining);
        let input = if has_worker { Input::WorkerFailed(fault) } else { Input::Failed(fault) };
        self.say(Message::Input(input));
    }

    fn configure(&mut self) -> Result<(), Missing> {
        let mut config = None;
        self.advance(|progress| match progress {
            Progress::Begun(begun) => {
                config = Some(begun);
                Progress::InConfigure
            }
            other => other,
        });
        let config = config.ok_or(Missing("the configuration"))?;
        let abort = self.fresh_abort();
        let task = callbacks::configure(&self.keeper, *config, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Missing> {
        let Progress::Configured(config) = &self.progress else {
            return Err(Missing("what configure left"));
        };
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
        Ok(())
    }

    fn create_worker(&mut self) -> Result<(), Missing> {
        let Progress::Connected(config, link) = &self.progress else {
            return Err(Missing("a connection"));
        };
        let (inputs, mut said) = unbounded_channel();
        let messages = self.messages.clone();
        // The channel closes when the worker and all its activities have dropped the sender.
        tokio::spawn(async move {
            while let Some(input) = said.recv().await {
                let _ = messages.send(Message::Input(input));
            }
        });
        let running = self.running.clone();
        let (invocation, next_idle_end) = (self.invocation.clone(), self.idle_end.subscribe());
        let stop = self.machine.stop_at().and_then(|at| self.instant(at));
        let ports = Ports { inputs, running, invocation, stop, next_idle_end };
        let worker = self.environment.temporal.launch(link, config, ports);
        self.advance(|progress| match progress {
            Progress::Connected(config, link) => Progress::Launched(config, link, worker),
            other => other,
        });
        Ok(())
    }

    fn on_start(&mut self) -> Result<(), Missing> {
        let Progress::Launched(config, link, _) = &self.progress else {
            return Err(Missing("a worker"));
        };
        let (connection, options) = (link.connection.clone(), config.client_options.clone());
        let task_queue = config.worker_options.task_queue.clone();
        let version = config.worker_options.deployment_options.version.clone();
        let identity = config.identity();
        let (invocation, stop) = (self.invocation.clone(), self.stop.clone());
        let running = move || {
            let client = Client::new(connection, options)
                .map_err(|error| Fault::WorkerCreation { reason: error.to_string() })?;
            Ok(RunningWorker { client, task_queue, version, identity, invocation, stop })
        };
        let abort = self.fresh_abort();
        let task = callbacks::on_start(&self.keeper, running, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
        Ok(())
    }

    fn run_hook(&mut self, number: usize) {
        // A hook that is gone or has run counts as ended, so that no hook runs twice.
        let Some(hook) = self.hooks.take(number) else {
            return self.say(Message::Input(Input::HookEnded(number)));
        };
        let ending = self.ending();
        let outcome = CallbackOutcome::TimedOut;
        self.report.hooks.push(HookReport { name: hook.name.clone(), outcome });
        let abort = self.fresh_abort();
        let place = self.keeper.queue.join();
        let task = callbacks::hook(place, number, hook, ending, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn on_shutdown(&mut self) {
        let ending = self.ending();
        self.report.on_shutdown = Some(CallbackOutcome::TimedOut);
        let abort = self.fresh_abort();
        let (keeper, hooks) = (self.keeper.clone(), self.hooks.clone());
        let task = callbacks::on_shutdown(keeper, hooks, ending, abort, self.messages.clone());
        self.running.spawn_on(self.scope().around(task), &self.environment.threads.user);
    }

    fn settle(&mut self) {
        let mut config = None;
        self.advance(|progress| {
            let worker = match progress {
                Progress::Begun(left)
                | Progress::Configured(left)
                | Progress::Connected(left, _) => {
                    config = Some(left);
                    None
                }
                Progress::Launched(left, _, worker) => {
                    config = Some(left);
                    Some(worker)
                }
                Progress::InConfigure => None,
                Progress::Settling(worker) => worker,
            };
            Progress::Settling(worker)
        });
        let users = (self.keeper.take(), config, std::mem::take(&mut self.hooks));
        self.drop_on_user_threads(users);
        let (running, messages) = (self.running.clone(), self.messages.clone());
        running.close();
        tokio::spawn(async move {
            running.wait().await;
            let _ = messages.send(Message::Input(Input::Settled));
        });
    }

    /// Drops the user's values on the threads for user code, since a `Drop` may block or panic.
    pub(super) fn drop_on_user_threads(&self, users: impl Send + 'static) {
        let dropping = async move {
            if std::panic::catch_unwind(AssertUnwindSafe(|| drop(users))).is_err() {
                tracing::error!("dropping the worker or its configuration panicked");
            }
        };
        self.running.spawn_on(self.scope().around(dropping), &self.environment.threads.user);
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

    fn with_worker(&self, act: impl FnOnce(&dyn Launched)) -> Result<(), Missing> {
        self.progress.worker().map(act).ok_or(Missing("a worker"))
    }

    fn say(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}
