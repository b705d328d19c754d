//! How can payloads have up to 50 MiB?
//!
//! Those of 256 KiB and more lie in S3, and Temporal has references to them. Python, Go and TypeScript read
//! them, too.
//!
//! `PAYLOAD_BUCKET` names the bucket. The client takes region and credentials from Lambda's own
//! variables. It is made once per environment and shared by all invocations.

use std::env;
use std::time::Duration;

use temporal_lambda_s3::{AwsS3Client, ExternalStorage, S3StorageDriver};
use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, WorkerDeploymentVersion, WorkerFunction,
    async_trait,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// How long one attempt of an activity may take, the transfer of its payloads included.
const START_TO_CLOSE: Duration = Duration::from_secs(60);

struct Activities;

#[activities]
impl Activities {
    /// The text in capitals.
    #[activity]
    async fn capitals(_context: ActivityContext, text: String) -> Result<String, ActivityError> {
        Ok(text.to_uppercase())
    }
}

#[workflow]
#[derive(Default)]
struct CapitalsWorkflow;

#[workflow_methods]
impl CapitalsWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(START_TO_CLOSE);
        Ok(context.execute_activity(Activities::capitals, text, options).await?)
    }
}

#[derive(Clone)]
struct Capitals {
    storage: ExternalStorage,
}

#[async_trait]
impl LambdaWorker for Capitals {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        self.storage.apply_to_worker(config);
        config.register_activities(Activities).register_workflow::<CapitalsWorkflow>()?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let bucket = env::var("PAYLOAD_BUCKET").map_err(|_| "set PAYLOAD_BUCKET to a bucket's name")?;
    let driver = S3StorageDriver::new(AwsS3Client::from_env()?, bucket)?;
    let version =
        WorkerDeploymentVersion::builder().deployment_name("s3-payloads").build_id("dev").build();
    let worker = Capitals { storage: ExternalStorage::new(driver)? };
    WorkerFunction::new(version, worker).task_queue("s3-payloads").run().await?;
    Ok(())
}
