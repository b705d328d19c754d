//! What a worker answers to a workflow task, and carrying out its commands.

use super::{
    MockFrontend,
    dispatch::Call,
    engine::{Run, Task},
    state::{Due, State},
    workflows::{WorkflowStart, WorkflowStatus},
};
use prost::Message;
use std::time::{Duration, SystemTime};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes as Order},
    deployment::v1::WorkerDeploymentVersion,
    enums::v1::WorkflowTaskFailedCause,
    history::v1::{self as events, history_event::Attributes},
    workflowservice::v1::{
        RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse,
        RespondWorkflowTaskFailedRequest, RespondWorkflowTaskFailedResponse,
    },
};
use tonic::Status;
use uuid::Uuid;

impl MockFrontend {
    pub(super) fn workflow_task_completed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: RespondWorkflowTaskCompletedRequest = call.decode()?;
        self.update(|state| state.complete_workflow_task(request))?;
        Ok(RespondWorkflowTaskCompletedResponse::default().encode_to_vec())
    }

    pub(super) fn workflow_task_failed(&self, call: &Call) -> Result<Vec<u8>, Status> {
        let request: RespondWorkflowTaskFailedRequest = call.decode()?;
        self.update(|state| {
            let run_id = state.take_workflow_task(&request.task_token)?;
            let cause = request.cause();
            state.fail_workflow_task(&run_id, cause, request.failure, &request.identity);
            Ok::<_, Status>(())
        })?;
        Ok(RespondWorkflowTaskFailedResponse::default().encode_to_vec())
    }
}

impl State {
    /// The run of a task that a worker holds, which is then no longer held.
    fn take_workflow_task(&mut self, token: &[u8]) -> Result<String, Status> {
        self.workflows
            .tokens
            .remove(token)
            .ok_or_else(|| Status::not_found("Workflow task not found."))
    }

    fn complete_workflow_task(
        &mut self,
        request: RespondWorkflowTaskCompletedRequest,
    ) -> Result<(), Status> {
        let at = self.clock.now();
        let run_id = self.take_workflow_task(&request.task_token)?;
        let not_found = || Status::not_found("Workflow execution already completed.");
        let run = self.workflows.runs.get_mut(&run_id).ok_or_else(not_found)?;
        let Task::Started { scheduled, started } = run.task else {
            return Err(not_found());
        };
        if !run.buffered.is_empty() && request.commands.iter().any(closes) {
            // The workflow must see what arrived before it may close.
            let cause = WorkflowTaskFailedCause::UnhandledCommand;
            self.fail_workflow_task(&run_id, cause, None, "history-service");
            return Err(Status::invalid_argument("UnhandledCommand"));
        }
        let versioning_behavior = request.versioning_behavior;
        let version = request.deployment_options.map(|options| WorkerDeploymentVersion {
            deployment_name: options.deployment_name,
            build_id: options.build_id,
        });
        let completed = events::WorkflowTaskCompletedEventAttributes {
            scheduled_event_id: scheduled,
            started_event_id: started,
            identity: request.identity,
            sdk_metadata: request.sdk_metadata,
            metering_metadata: request.metering_metadata,
            versioning_behavior,
            worker_deployment_name: version
                .as_ref()
                .map(|version| version.deployment_name.clone())
                .unwrap_or_default(),
            deployment_version: version,
            ..Default::default()
        };
        let completed =
            run.history.append(at, Attributes::WorkflowTaskCompletedEventAttributes(completed));
        run.task = Task::None;
        run.attempt = 1;
        run.previous_started = started;

        let mut more = request.force_create_new_workflow_task;
        for command in request.commands {
            more |= self.carry_out(&run_id, command, completed, at);
        }
        if let Some(run) = self.workflows.runs.get_mut(&run_id) {
            for arrival in std::mem::take(&mut run.buffered) {
                run.write(at, arrival);
                more = true;
            }
        }
        if more {
            self.queue_workflow_task(&run_id);
        }
        Ok(())
    }

    /// Carries out one command. Says whether something happened that the workflow must see.
    fn carry_out(&mut self, run_id: &str, command: Command, task: i64, at: SystemTime) -> bool {
        let kind = command.command_type();
        let metadata = command.user_metadata;
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return false;
        };
        match command.attributes {
            Some(Order::ScheduleActivityTaskCommandAttributes(order)) => {
                self.schedule_for_workflow(run_id, order, task, at, metadata);
            }
            Some(Order::RequestCancelActivityTaskCommandAttributes(order)) => {
                let requested = events::ActivityTaskCancelRequestedEventAttributes {
                    scheduled_event_id: order.scheduled_event_id,
                    workflow_task_completed_event_id: task,
                };
                run.history
                    .append(at, Attributes::ActivityTaskCancelRequestedEventAttributes(requested));
                return self.cancel_for_workflow(run_id, order.scheduled_event_id, at);
            }
            Some(Order::StartTimerCommandAttributes(order)) => {
                let started = events::TimerStartedEventAttributes {
                    timer_id: order.timer_id.clone(),
                    start_to_fire_timeout: order.start_to_fire_timeout,
                    workflow_task_completed_event_id: task,
                };
                let attributes = Attributes::TimerStartedEventAttributes(started);
                let started = run.history.append_with(at, attributes, metadata);
                let delay = order
                    .start_to_fire_timeout
                    .and_then(|delay| Duration::try_from(delay).ok())
                    .unwrap_or_default();
                let due =
                    Due::Timer { run_id: run_id.to_owned(), timer_id: order.timer_id.clone() };
                let key = self.schedule(delay, due);
                if let Some(run) = self.workflows.runs.get_mut(run_id) {
                    run.timers.insert(order.timer_id, (started, key));
                }
            }
            Some(Order::CancelTimerCommandAttributes(order)) => {
                if let Some((started_event_id, key)) = run.timers.remove(&order.timer_id) {
                    let canceled = events::TimerCanceledEventAttributes {
                        timer_id: order.timer_id,
                        started_event_id,
                        workflow_task_completed_event_id: task,
                        ..Default::default()
                    };
                    run.history.append(at, Attributes::TimerCanceledEventAttributes(canceled));
                    self.unschedule(key);
                }
            }
            Some(Order::RecordMarkerCommandAttributes(order)) => {
                let recorded = events::MarkerRecordedEventAttributes {
                    marker_name: order.marker_name,
                    details: order.details,
                    workflow_task_completed_event_id: task,
                    header: order.header,
                    failure: order.failure,
                };
                let attributes = Attributes::MarkerRecordedEventAttributes(recorded);
                run.history.append_with(at, attributes, metadata);
            }
            Some(Order::UpsertWorkflowSearchAttributesCommandAttributes(order)) => {
                let upserted = events::UpsertWorkflowSearchAttributesEventAttributes {
                    workflow_task_completed_event_id: task,
                    search_attributes: order.search_attributes,
                };
                run.history.append(
                    at,
                    Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted),
                );
            }
            Some(Order::ModifyWorkflowPropertiesCommandAttributes(order)) => {
                let modified = events::WorkflowPropertiesModifiedEventAttributes {
                    workflow_task_completed_event_id: task,
                    upserted_memo: order.upserted_memo,
                };
                run.history
                    .append(at, Attributes::WorkflowPropertiesModifiedEventAttributes(modified));
            }
            Some(order) => match close(run, order, task, at) {
                Closing::Closed => self.forget_what_is_pending(run_id),
                Closing::Continues { next, next_run_id } => {
                    self.forget_what_is_pending(run_id);
                    self.start_run(next, &next_run_id, run_id);
                }
                Closing::NotAClose => {
                    let workflow_id = run.start.workflow_id.clone();
                    tracing::warn!(
                        workflow_id,
                        "the mock frontend does not support {kind:?}: nothing comes of it"
                    );
                    self.workflows.unsupported.push((workflow_id, kind));
                }
            },
            None => {}
        }
        false
    }

    /// A closed workflow has no timers and no activities any more.
    fn forget_what_is_pending(&mut self, run_id: &str) {
        let Some(run) = self.workflows.runs.get_mut(run_id) else {
            return;
        };
        for (_, key) in std::mem::take(&mut run.timers).into_values() {
            self.unschedule(key);
        }
        self.abandon_activities(run_id);
    }
}

enum Closing {
    Closed,
    Continues { next: WorkflowStart, next_run_id: String },
    NotAClose,
}

fn closes(command: &Command) -> bool {
    matches!(
        command.attributes,
        Some(
            Order::CompleteWorkflowExecutionCommandAttributes(_)
                | Order::FailWorkflowExecutionCommandAttributes(_)
                | Order::CancelWorkflowExecutionCommandAttributes(_)
                | Order::ContinueAsNewWorkflowExecutionCommandAttributes(_)
        )
    )
}

fn close(run: &mut Run, order: Order, task: i64, at: SystemTime) -> Closing {
    match order {
        Order::CompleteWorkflowExecutionCommandAttributes(order) => {
            let payloads = order.result.clone().unwrap_or_default().payloads;
            run.status = WorkflowStatus::Completed(payloads);
            let completed = events::WorkflowExecutionCompletedEventAttributes {
                result: order.result,
                workflow_task_completed_event_id: task,
                ..Default::default()
            };
            run.history
                .append(at, Attributes::WorkflowExecutionCompletedEventAttributes(completed));
            Closing::Closed
        }
        Order::FailWorkflowExecutionCommandAttributes(order) => {
            run.status =
                WorkflowStatus::Failed(Box::new(order.failure.clone().unwrap_or_default()));
            let failed = events::WorkflowExecutionFailedEventAttributes {
                failure: order.failure,
                workflow_task_completed_event_id: task,
                ..Default::default()
            };
            run.history.append(at, Attributes::WorkflowExecutionFailedEventAttributes(failed));
            Closing::Closed
        }
        Order::CancelWorkflowExecutionCommandAttributes(order) => {
            run.status = WorkflowStatus::Canceled;
            let canceled = events::WorkflowExecutionCanceledEventAttributes {
                workflow_task_completed_event_id: task,
                details: order.details,
            };
            run.history.append(at, Attributes::WorkflowExecutionCanceledEventAttributes(canceled));
            Closing::Closed
        }
        Order::ContinueAsNewWorkflowExecutionCommandAttributes(order) => {
            run.status = WorkflowStatus::ContinuedAsNew;
            let mut next = run.start.clone();
            if let Some(kind) = &order.workflow_type {
                next.workflow_type.clone_from(&kind.name);
            }
            if let Some(queue) = order.task_queue.as_ref().filter(|q| !q.name.is_empty()) {
                next.task_queue.clone_from(&queue.name);
            }
            next.input = order.input.clone().unwrap_or_default().payloads;
            let next_run_id = Uuid::new_v4().to_string();
            let continued = events::WorkflowExecutionContinuedAsNewEventAttributes {
                new_execution_run_id: next_run_id.clone(),
                workflow_type: order.workflow_type,
                task_queue: order.task_queue,
                input: order.input,
                workflow_task_completed_event_id: task,
                header: order.header,
                memo: order.memo,
                ..Default::default()
            };
            run.history
                .append(at, Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued));
            Closing::Continues { next, next_run_id }
        }
        _ => Closing::NotAClose,
    }
}
