//! What is left of an invocation, and whether the next one works.

use std::time::Instant;

use temporal_lambda_testkit::frontend::{ActivityStatus, MockFrontend};
use temporal_lambda_worker::Fault;
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use tokio::time::timeout;

use crate::fixture::{Fixture, KEY, NEXT};
use crate::strike::{Gone, Network, Strike, heal};
use crate::support::{BOUND, Manners, invocation, lock};
use crate::verdict::{After, Seen};

impl Fixture {
    /// What must not be left of an invocation.
    pub(crate) async fn look_for_remains(&self, seen: &mut Seen) {
        seen.after = if self.handler.is_poisoned() { After::Poisoned } else { After::Healthy };
        if let Err(error) = self.frontend.wait_until(|it| it.open_polls().is_empty()).await {
            seen.problem(format!("polls are still open: {error}"));
        }
        for call in self.frontend.seen() {
            if self.subject.was_registered(&call.worker_instance_key) {
                seen.problem("a worker is still registered");
            }
        }
        let all_said_goodbye = |frontend: &MockFrontend| {
            let goodbyes = frontend.shutdown_workers();
            frontend.polls().iter().all(|poll| {
                goodbyes.iter().any(|it| it.worker_instance_key == poll.worker_instance_key)
            })
        };
        let hears_of_tasks = !self.strike.is_server_gone() && !self.strike.is_unanswered();
        if hears_of_tasks && seen.after == After::Healthy {
            let is_held = |frontend: &MockFrontend| {
                let history = frontend.workflow_history("task").unwrap_or_default();
                let last = history.last().map(|it| it.event_type());
                matches!(frontend.activity_status("task"), Ok(ActivityStatus::Started))
                    || last == Some(EventType::WorkflowTaskStarted)
            };
            if let Err(error) = self.frontend.wait_until(|it| !is_held(it)).await {
                seen.problem(format!("a task is lost until its timeout: {error}"));
            }
        }
        if !self.strike.is_server_gone()
            && let Err(error) = self.frontend.wait_until(all_said_goodbye).await
        {
            seen.problem(format!("a worker polled and never said goodbye: {error}"));
        }
        // The admission ends with the driver's task, a moment after its result is there.
        let began = Instant::now();
        while self.handler.active_invocations() != 0 && began.elapsed() < BOUND {
            tokio::task::yield_now().await;
        }
        if self.handler.active_invocations() != 0 {
            seen.problem("an invocation is still under way");
        }
    }

    pub(crate) async fn heal(&mut self) {
        heal(&self.frontend);
        *self.subject.manners() = Manners::default();
        lock(&self.subject.0.connection_options).api_key = Some(KEY.to_owned());
        if let Strike::Network(network) = self.strike {
            self.silent = None;
            let served = self.served.as_mut().expect("it is served");
            if matches!(network, Network::Refused | Network::Silent) {
                served.start().await.expect("the port is still free");
            }
            let healed = served.connection_options();
            let mut options = lock(&self.subject.0.connection_options);
            options.target = healed.target;
            options.tls_options = healed.tls_options;
            // With a key and no settings, the SDK would speak TLS.
            options.api_key = None;
        }
        if let Strike::GoesAway(_) = self.strike {
            lock(&self.subject.0.connection_options).api_key = None;
        }
        if let Strike::ServerGone(_, gone) = self.strike {
            lock(&self.subject.0.connection_options).api_key = None;
            if gone == Gone::Away {
                let served = self.served.as_mut().expect("it is served");
                served.start().await.expect("the port is still free");
            }
        }
        if self.handler.shutdown_token().is_cancelled() {
            // That token ends all invocations to come, too: the next environment has a new one.
            self.handler = self.subject.handler();
        }
    }

    /// The next warm invocation works like any other, or is refused.
    pub(crate) async fn invoke_again(&self, seen: &mut Seen) {
        self.schedule(NEXT);
        let mut next = tokio::spawn(self.handler.handle(invocation(NEXT).event(())));
        let next = async {
            tokio::select! {
                next = &mut next => next,
                // So that the table is soon done.
                _ = self.frontend.activity_result(NEXT) => {
                    self.handler.shutdown_token().cancel();
                    next.await
                }
            }
        };
        let next = timeout(BOUND, next).await.expect("it ends").expect("no panic");
        match (next, seen.after) {
            (Ok(report), After::Healthy) => {
                if report.tasks.activity.completed != 1 {
                    seen.problem(format!("the next invocation did nothing: {report:?}"));
                }
                let expected =
                    ["configure", "on_start", "first hook", "second hook", "on_shutdown"];
                if self.subject.log_of(NEXT) != expected {
                    seen.problem("the next invocation is not like any other");
                }
            }
            (Err(error), After::Poisoned) => {
                let refused = matches!(error.fault(), Fault::Poisoned) && error.is_poisoned();
                if !refused || !self.subject.log_of(NEXT).is_empty() {
                    seen.problem(format!("the next invocation was not refused: {error}"));
                }
            }
            (next, _) => seen.problem(format!("the next invocation: {next:?}")),
        }
    }
}
