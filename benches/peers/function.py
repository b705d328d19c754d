"""The Python side of the comparison: the example `hello` on Temporal's own Lambda worker."""

import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.aws.lambda_worker import LambdaWorkerConfig, run_worker


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class HelloWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=60))


def configure(config: LambdaWorkerConfig) -> None:
    config.worker_config["workflows"] = [HelloWorkflow]
    config.worker_config["activities"] = [greet]


handler = run_worker(
    WorkerDeploymentVersion(
        deployment_name=os.environ["TEMPORAL_LAMBDA_DEPLOYMENT_NAME"],
        build_id=os.environ["TEMPORAL_LAMBDA_BUILD_ID"],
    ),
    configure,
)
