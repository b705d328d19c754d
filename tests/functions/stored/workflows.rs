//! Workflows whose payloads of all kinds are large. For the function and for the tests' client.

#![allow(unreachable_pub, missing_docs, reason = "two programs have it as a module")]

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_common::error::{ApplicationFailure, IncomingError};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
};

const START_TO_CLOSE: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Text of about a million bytes that nobody else has.
pub fn large(name: &str) -> String {
    format!("{name}, and so on. ").repeat(1_000_000 / (name.len() + 13))
}

pub struct Activities;

#[activities]
impl Activities {
    /// The text in capitals.
    #[activity]
    pub async fn capitals(_: ActivityContext, text: String) -> Result<String, ActivityError> {
        Ok(text.to_uppercase())
    }

    /// A large text.
    #[activity]
    pub async fn grow(_: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(large(&name))
    }

    /// Heartbeats a large text and fails; the next attempt returns what the heartbeat had.
    #[activity]
    pub async fn beats(context: ActivityContext, name: String) -> Result<String, ActivityError> {
        if let Some(text) = context.heartbeat_details().deserialize::<String>()? {
            return Ok(text);
        }
        context.record_heartbeat(large(&name)).await?;
        Err(ApplicationFailure::new("the first attempt only heartbeats").into())
    }

    /// Fails for good, with a large text as details.
    #[activity]
    pub async fn fails(_: ActivityContext, name: String) -> Result<(), ActivityError> {
        let failure = ApplicationFailure::builder("as it was told")
            .non_retryable(true)
            .details(large(&name))
            .build();
        Err(failure.into())
    }
}

fn options() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(START_TO_CLOSE)
        .retry_policy(RetryPolicy::builder().initial_interval(RETRY_INTERVAL).build())
        .build()
}

/// Hands its input to an activity and returns what that returned.
#[workflow]
#[derive(Default)]
pub struct CapitalsWorkflow;

#[workflow_methods]
impl CapitalsWorkflow {
    #[run]
    pub async fn run(context: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        Ok(context.execute_activity(Activities::capitals, text, options()).await?)
    }
}

/// Has a small input and a large result.
#[workflow]
#[derive(Default)]
pub struct GrowWorkflow;

#[workflow_methods]
impl GrowWorkflow {
    #[run]
    pub async fn run(context: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        Ok(context.execute_activity(Activities::grow, name, options()).await?)
    }
}

/// Waits for a large signal, then returns what came by signal, update, memo, heartbeat and
/// failure.
#[workflow]
#[derive(Default)]
pub struct MailboxWorkflow {
    signal: Option<String>,
    update: String,
}

#[workflow_methods]
impl MailboxWorkflow {
    #[run]
    pub async fn run(
        context: &mut WorkflowContext<Self>,
        name: String,
    ) -> WorkflowResult<Vec<String>> {
        let beats = context.execute_activity(Activities::beats, name.clone(), options()).await?;
        let failure = context.execute_activity(Activities::fails, name, options()).await;
        let details = match &failure {
            Ok(()) => None,
            Err(error) => match error.reason() {
                Some(IncomingError::Application(failure)) => failure.details::<String>()?,
                _ => None,
            },
        };
        context.wait_condition(|it| it.signal.is_some()).await?;
        let memo = context.memo().get::<String>("memo")?.unwrap_or_default();
        let signal = context.state(|it| it.signal.clone()).unwrap_or_default();
        let update = context.state(|it| it.update.clone());
        Ok(vec![signal, update, memo, beats, details.unwrap_or_default()])
    }

    #[signal]
    pub fn deliver(&mut self, _: &mut SyncWorkflowContext<Self>, text: String) {
        self.signal = Some(text);
    }

    #[query]
    pub fn echo(&self, _: &WorkflowContextView, text: String) -> String {
        text.to_uppercase()
    }

    #[update]
    pub fn replace(&mut self, _: &mut SyncWorkflowContext<Self>, text: String) -> String {
        self.update = text.to_uppercase();
        text.to_lowercase()
    }
}
