//! What is done for each effect. Whatever takes time becomes a task that knows how to be cut short.

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
            Effect::StopWorker => {
                self.stop.cancel();
                let why = self.machine.ending();
                self.with_worker(|worker| worker.stop(why));
            }
            Effect::AbandonActivities => self.with_worker(|worker| worker.abandon_activities()),
            Effect::AbandonWorker => self.with_worker(|worker| worker.abandon()),
            Effect::Finalize => {
                self.with_worker(|worker| worker.finalize());
                self.say(Message::Input(Input::Finalized));
            }
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
        let Some(config) = self.config.take() else { return };
        let abort = self.fresh_abort();
        let task = callbacks::configure(&self.keeper, config, abort, self.messages.clone());
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
        let (invocation, next_stop) = (self.invocation.clone(), self.next_stop.subscribe());
        let stop = self.machine.stop_at().and_then(|at| self.instant(at));
        let ports = Ports { inputs, running, invocation, stop, next_stop };
        self.worker = Some(self.environment.temporal.launch(link, config, ports));
    }

    fn on_start(&mut self) {
        let (Some(link), Some(config)) = (&self.link, &self.config) else { return };
        let client =
            temporalio_client::Client::new(link.connection.clone(), config.client_options.clone());
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let reason = error.to_string();
                let fault = Fault::WorkerCreation { reason };
                return self.say(Message::Input(Input::Failed(fault)));
            }
        };
        let running = RunningWorker {
            client,
            task_queue: config.worker_options.task_queue.clone(),
            invocation: self.invocation.clone(),
            stop: self.stop.clone(),
        };
        let abort = self.fresh_abort();
        let task = callbacks::on_start(&self.keeper, running, abort, self.messages.clone());
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
        let (place, abort) = (self.keeper.queue.join(), self.fresh_abort());
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

    fn settle(&self) {
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
        outcome::ending(report, &self.invocation, until, &self.machine)
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
