//! What a worker answers to a workflow task, and carrying out its commands.

use std::time::{Duration, SystemTime};

use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes as Ordered},
    deployment::v1::WorkerDeploymentVersion,
    enums::v1::{CommandType, WorkflowTaskFailedCause},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
    history::v1::{self as events, history_event::Attributes},
    sdk::v1::UserMetadata,
    workflowservice::v1::{RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskFailedRequest},
};

use super::{
    Due, Engine, Refusal,
    workflows::{Run, Task},
};
use crate::frontend::model::WorkflowStatus;

const NOT_HELD: Refusal = Refusal::NotFound("Workflow task not found.");

impl Engine {
    pub(in crate::frontend) fn fail_workflow_task(
        &mut self,
        request: RespondWorkflowTaskFailedRequest,
    ) -> Result<(), Refusal> {
        let id = self.workflow_tasks.take(&request.task_token).ok_or(NOT_HELD)?;
        let cause = request.cause();
        self.retry_workflow_task(&id, cause, request.failure, &request.identity);
        Ok(())
    }

    pub(in crate::frontend) fn complete_workflow_task(
        &mut self,
        request: RespondWorkflowTaskCompletedRequest,
    ) -> Result<(), Refusal> {
        let at = self.clock.now();
        let id = self.workflow_tasks.take(&request.task_token).ok_or(NOT_HELD)?;
        let run = self.runs.get_mut(&id).ok_or(NOT_HELD)?;
        let Task::Started { scheduled, started } = run.task else { return Err(NOT_HELD) };
        if !run.buffered.is_empty() && request.commands.iter().any(closes) {
            // The workflow must see what arrived before it may close.
            let cause = WorkflowTaskFailedCause::UnhandledCommand;
            self.retry_workflow_task(&id, cause, None, "history-service");
            return Err(Refusal::Invalid("UnhandledCommand"));
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
        let task = run.append(at, Attributes::WorkflowTaskCompletedEventAttributes(completed));
        run.task = Task::None;
        run.attempt = 1;
        run.previous_started = started;

        for command in request.commands {
            self.carry_out(&id, command, task, at);
        }
        let mut more = request.force_create_new_workflow_task;
        if let Some(run) = self.runs.get_mut(&id) {
            for arrival in std::mem::take(&mut run.buffered) {
                run.write(at, arrival);
                more = true;
            }
        }
        if more {
            self.queue_workflow_task(&id);
        }
        Ok(())
    }

    fn carry_out(&mut self, id: &str, command: Command, task: i64, at: SystemTime) {
        let kind = command.command_type();
        let metadata = command.user_metadata;
        let Some(run) = self.runs.get_mut(id) else { return };
        if run.status != WorkflowStatus::Running {
            return;
        }
        match command.attributes {
            Some(Ordered::ScheduleActivityTaskCommandAttributes(it)) => {
                self.schedule_for_workflow(id, it, task, at, metadata);
            }
            Some(Ordered::StartTimerCommandAttributes(it)) => {
                let started = events::TimerStartedEventAttributes {
                    timer_id: it.timer_id.clone(),
                    start_to_fire_timeout: it.start_to_fire_timeout,
                    workflow_task_completed_event_id: task,
                };
                self.start_timer(id, started, at, metadata);
            }
            Some(Ordered::CancelTimerCommandAttributes(it)) => {
                if let Some((started_event_id, due)) = run.timers.remove(&it.timer_id) {
                    let canceled = events::TimerCanceledEventAttributes {
                        timer_id: it.timer_id,
                        started_event_id,
                        workflow_task_completed_event_id: task,
                        ..Default::default()
                    };
                    run.append(at, Attributes::TimerCanceledEventAttributes(canceled));
                    self.agenda.remove(due);
                }
            }
            // Local activities, and what workflow code must not decide twice.
            Some(Ordered::RecordMarkerCommandAttributes(it)) => {
                let recorded = events::MarkerRecordedEventAttributes {
                    marker_name: it.marker_name,
                    details: it.details,
                    workflow_task_completed_event_id: task,
                    header: it.header,
                    failure: it.failure,
                };
                let recorded = Attributes::MarkerRecordedEventAttributes(recorded);
                run.append_with(at, recorded, metadata);
            }
            // What `patched` sends beside its marker; the workflow only looks for the event.
            Some(Ordered::UpsertWorkflowSearchAttributesCommandAttributes(it)) => {
                let upserted = events::UpsertWorkflowSearchAttributesEventAttributes {
                    workflow_task_completed_event_id: task,
                    search_attributes: it.search_attributes,
                };
                let upserted = Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted);
                run.append(at, upserted);
            }
            Some(Ordered::CompleteWorkflowExecutionCommandAttributes(it)) => {
                let payloads = it.result.clone().unwrap_or_default().payloads;
                run.status = WorkflowStatus::Completed(payloads);
                let completed = events::WorkflowExecutionCompletedEventAttributes {
                    result: it.result,
                    workflow_task_completed_event_id: task,
                    ..Default::default()
                };
                run.append(at, Attributes::WorkflowExecutionCompletedEventAttributes(completed));
                self.forget_pending(id);
            }
            Some(Ordered::FailWorkflowExecutionCommandAttributes(it)) => {
                fail(run, it.failure.unwrap_or_default(), task, at);
                self.forget_pending(id);
            }
            // It would wait for ever for something that does not come.
            _ => {
                fail(run, unsupported(kind), task, at);
                self.forget_pending(id);
            }
        }
    }

    fn start_timer(
        &mut self,
        id: &str,
        started: events::TimerStartedEventAttributes,
        at: SystemTime,
        metadata: Option<UserMetadata>,
    ) {
        let timer_id = started.timer_id.clone();
        let delay = started.start_to_fire_timeout.and_then(|it| Duration::try_from(it).ok());
        let due = Due::Timer { workflow_id: id.to_owned(), timer_id: timer_id.clone() };
        let due = self.schedule(delay.unwrap_or_default(), due);
        if let Some(run) = self.runs.get_mut(id) {
            let started = Attributes::TimerStartedEventAttributes(started);
            let started = run.append_with(at, started, metadata);
            run.timers.insert(timer_id, (started, due));
        }
    }
}

fn closes(command: &Command) -> bool {
    matches!(
        command.command_type(),
        CommandType::CompleteWorkflowExecution
            | CommandType::FailWorkflowExecution
            | CommandType::CancelWorkflowExecution
    )
}

fn fail(run: &mut Run, failure: Failure, task: i64, at: SystemTime) {
    run.status = WorkflowStatus::Failed(Box::new(failure.clone()));
    let failed = events::WorkflowExecutionFailedEventAttributes {
        failure: Some(failure),
        workflow_task_completed_event_id: task,
        ..Default::default()
    };
    run.append(at, Attributes::WorkflowExecutionFailedEventAttributes(failed));
}

fn unsupported(kind: CommandType) -> Failure {
    let info = ApplicationFailureInfo { non_retryable: true, ..Default::default() };
    Failure {
        message: format!(
            "the mock frontend does not support {kind:?}; test this workflow on a dev server \
             (`server::DevServer`)"
        ),
        source: "MockFrontend".to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
        ..Default::default()
    }
}
