//! A function that says when its environment ends, and has a log subscriber of its own.

use temporal_lambda_tests::Nothing;
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerError, WorkerDeploymentVersion, WorkerFunction,
};

fn configure(config: &mut LambdaWorkerConfig) -> Result<(), BoxError> {
    config.worker_options.register_activities(Nothing);
    config.shutdown_hooks.add("say", |_| async {
        eprintln!("hook: the invocation ends");
        Ok(())
    });
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), LambdaWorkerError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_ansi(false).init();
    let version = WorkerDeploymentVersion::builder().deployment_name("d").build_id("b").build();
    WorkerFunction::new(version, configure)
        .on_environment_end(|| async { eprintln!("hook: the environment ends") })
        .run()
        .await
}
