//! The few fields of messages that the gate reads. Other fields, such as histories and payloads, are skipped.

use std::time::Duration;

use prost::Message;
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::protos::temporal::api::common::v1::{WorkflowExecution, WorkflowType};
use temporalio_common::protos::temporal::api::enums::v1::{CommandType, TaskQueueKind};
use temporalio_common::protos::temporal::api::workflowservice::v1::PollWorkflowTaskQueueRequest;

use crate::temporal::in_flight::{Kind, WorkflowTask};

/// A workflow task, in the answer to a poll or to another call.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Task {
    #[prost(bytes = "vec", tag = "1")]
    task_token: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    execution: Option<WorkflowExecution>,
    #[prost(message, optional, tag = "3")]
    workflow_type: Option<WorkflowType>,
    #[prost(int32, tag = "6")]
    attempt: i32,
}

/// The completion of a workflow task.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Completion {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) task_token: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    commands: Vec<Command>,
    /// Set if the workflow's next task is to come to the worker's sticky queue.
    #[prost(message, optional, tag = "4")]
    sticky: Option<Nothing>,
    /// More pages of the same completion follow.
    #[prost(bool, tag = "22")]
    pub(super) intermediate_page: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(enumeration = "CommandType", tag = "1")]
    of_type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

impl Completion {
    pub(super) fn sticks(&self) -> bool {
        self.sticky.is_some()
    }

    /// Whether the completion ends the workflow run. A workflow that continues as new gets another run
    /// ID.
    pub(super) fn closes(&self) -> bool {
        self.commands.iter().any(|command| {
            matches!(
                command.of_type(),
                CommandType::CompleteWorkflowExecution
                    | CommandType::FailWorkflowExecution
                    | CommandType::CancelWorkflowExecution
                    | CommandType::ContinueAsNewWorkflowExecution
            )
        })
    }
}

/// The answer to a completion, which may have the workflow's next task.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Completed {
    #[prost(message, optional, tag = "1")]
    pub(super) task: Option<Task>,
}

/// The answer to the start of a workflow, which may have its first task.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Started {
    #[prost(message, optional, tag = "2")]
    pub(super) task: Option<Task>,
}

impl From<Task> for WorkflowTask {
    fn from(task: Task) -> Self {
        let execution = task.execution.unwrap_or_default();
        Self {
            token: task.task_token,
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            workflow_type: task.workflow_type.unwrap_or_default().name,
            attempt: u32::try_from(task.attempt).unwrap_or(0),
        }
    }
}

/// The token that activity tasks, and all answers to tasks, begin with.
pub(super) fn task_token(proto: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    #[derive(Clone, PartialEq, Message)]
    struct Tasked {
        #[prost(bytes = "vec", tag = "1")]
        task_token: Vec<u8>,
    }
    Ok(Tasked::decode(proto)?.task_token)
}

impl Kind {
    /// The kind of task that this poll is for.
    pub(super) fn of(poll: &GrpcRequest) -> Self {
        match poll.rpc.as_str() {
            "PollActivityTaskQueue" => Self::Activity,
            "PollWorkflowTaskQueue" => {
                let request = PollWorkflowTaskQueueRequest::decode(&*poll.proto);
                let queue = request.ok().and_then(|request| request.task_queue);
                let sticky = queue.is_some_and(|queue| queue.kind() == TaskQueueKind::Sticky);
                if sticky { Self::Sticky } else { Self::Workflow }
            }
            _ => Self::Nexus,
        }
    }
}

/// The header with the time that a call asks for.
const TIMEOUT: &str = "grpc-timeout";

/// The time that a call asks for, if it does.
pub(super) fn asked_time(call: &GrpcRequest) -> Option<Duration> {
    let header = call.headers.get(TIMEOUT).and_then(|value| value.to_str().ok());
    header.and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = digits.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number.saturating_mul(3600)),
            "M" => Duration::from_secs(number.saturating_mul(60)),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    })
}

/// Sets the time that a call asks for.
pub(super) fn set_asked_time(call: &mut GrpcRequest, time: Duration) {
    // At most eight digits, as gRPC has it: in milliseconds that is a day.
    if let Ok(value) = format!("{}m", time.as_millis().min(99_999_999)).parse() {
        call.headers.insert(TIMEOUT, value);
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api;

    use super::*;

    fn polled() -> api::workflowservice::v1::PollWorkflowTaskQueueResponse {
        api::workflowservice::v1::PollWorkflowTaskQueueResponse {
            task_token: b"token".to_vec(),
            workflow_execution: Some(api::common::v1::WorkflowExecution {
                workflow_id: "order-1".to_owned(),
                run_id: "run-1".to_owned(),
            }),
            workflow_type: Some(api::common::v1::WorkflowType { name: "Order".to_owned() }),
            attempt: 3,
            ..Default::default()
        }
    }

    fn task() -> WorkflowTask {
        WorkflowTask {
            token: b"token".to_vec(),
            workflow_id: "order-1".to_owned(),
            run_id: "run-1".to_owned(),
            workflow_type: "Order".to_owned(),
            attempt: 3,
        }
    }

    #[test]
    fn the_fields_of_workflow_tasks_are_those_of_the_protocol_in_every_message_that_brings_one() {
        let polled_task = Task::decode(&*polled().encode_to_vec()).unwrap();
        assert_eq!(WorkflowTask::from(polled_task), task());
        let completed = api::workflowservice::v1::RespondWorkflowTaskCompletedResponse {
            workflow_task: Some(polled()),
            ..Default::default()
        };
        let completed = Completed::decode(&*completed.encode_to_vec()).unwrap();
        assert_eq!(completed.task.map(WorkflowTask::from), Some(task()));
        let started = api::workflowservice::v1::StartWorkflowExecutionResponse {
            eager_workflow_task: Some(polled()),
            ..Default::default()
        };
        let started = Started::decode(&*started.encode_to_vec()).unwrap();
        assert_eq!(started.task.map(WorkflowTask::from), Some(task()));
    }

    #[test]
    fn the_fields_of_completions_are_those_of_the_protocol() {
        let mut request = api::workflowservice::v1::RespondWorkflowTaskCompletedRequest {
            task_token: b"token".to_vec(),
            commands: vec![api::command::v1::Command {
                command_type: CommandType::StartTimer.into(),
                ..Default::default()
            }],
            intermediate_page: true,
            ..Default::default()
        };
        let completion = Completion::decode(&*request.encode_to_vec()).unwrap();
        assert_eq!(completion.task_token, b"token");
        assert!(completion.intermediate_page && !completion.sticks() && !completion.closes());
        request.sticky_attributes = Some(Default::default());
        request.commands[0].command_type = CommandType::FailWorkflowExecution.into();
        let completion = Completion::decode(&*request.encode_to_vec()).unwrap();
        assert!(completion.sticks() && completion.closes());
    }

    #[test]
    fn the_token_is_the_first_field_of_activity_tasks_and_of_every_answer_to_a_task() {
        use api::workflowservice::v1 as service;
        let task_token_ = b"token".to_vec();
        macro_rules! begins_with_its_token {
            ($($message:ident),* $(,)?) => {$(
                let message = service::$message { task_token: task_token_.clone(), ..Default::default() };
                assert_eq!(task_token(&message.encode_to_vec()).unwrap(), task_token_, stringify!($message));
            )*};
        }
        begins_with_its_token!(
            PollActivityTaskQueueResponse,
            RespondActivityTaskCompletedRequest,
            RespondActivityTaskFailedRequest,
            RespondActivityTaskCanceledRequest,
            RespondWorkflowTaskFailedRequest,
            RespondQueryTaskCompletedRequest,
        );
    }
}
