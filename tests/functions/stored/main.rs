//! A function that keeps payloads in S3. Its storage lives as long as the invocation.
//!
//! `TRANSFER_TIMEOUT_MS` and `MAX_PAYLOAD_SIZE` (in bytes) are settings of the driver. Without
//! `PAYLOAD_BUCKET` there is no storage, and references are refused.

mod workflows;

use std::env;
use std::time::Duration;

use temporal_lambda_s3::{AwsS3Client, ExternalStorage, S3StorageDriver, refuse_references};
use temporal_lambda_worker::{
    BoxError, LambdaWorker, LambdaWorkerConfig, LambdaWorkerError, Shutdown,
    WorkerDeploymentVersion, async_trait, run_worker,
};

use workflows::{Activities, CapitalsWorkflow, GrowWorkflow, MailboxWorkflow};

#[derive(Clone, Default)]
struct Stored {
    storage: Option<ExternalStorage>,
}

#[async_trait]
impl LambdaWorker for Stored {
    async fn configure(&mut self, config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
        config
            .worker_options
            .register_activities(Activities)
            .register_workflow::<CapitalsWorkflow>()?
            .register_workflow::<GrowWorkflow>()?
            .register_workflow::<MailboxWorkflow>()?;
        let Ok(bucket) = env::var("PAYLOAD_BUCKET") else {
            refuse_references(&mut config.client_options);
            return Ok(());
        };
        let driver = S3StorageDriver::builder(AwsS3Client::from_env()?, bucket);
        let number = |name| env::var(name).ok().map(|value| value.parse::<u64>()).transpose();
        let driver = match number("TRANSFER_TIMEOUT_MS")? {
            Some(millis) => driver.transfer_timeout(Duration::from_millis(millis)),
            None => driver,
        };
        let driver = match number("MAX_PAYLOAD_SIZE")? {
            Some(bytes) => driver.max_payload_size(bytes),
            None => driver,
        };
        let storage = ExternalStorage::new(driver.build()?)?;
        storage.apply_to_worker(config);
        self.storage = Some(storage);
        Ok(())
    }

    async fn on_shutdown(&mut self, _: &Shutdown) -> Result<(), BoxError> {
        // The hooks have run; nothing needs it any more.
        drop(self.storage.take());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    let version = WorkerDeploymentVersion::builder().deployment_name("stored").build_id("b1");
    run_worker(version.build(), Stored::default()).await
}
