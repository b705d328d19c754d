"""The Python peer of the cold-start bench: the same workflow and activity on Temporal's own Lambda worker."""

import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import WorkerDeploymentVersion
from temporalio.contrib.aws.lambda_worker import LambdaWorkerConfig, run_worker


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class HelloWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=60))


def configure(config: LambdaWorkerConfig) -> None:
    config.worker_config["workflows"] = [HelloWorkflow]
    config.worker_config["activities"] = [greet]


handler = run_worker(
    WorkerDeploymentVersion(
        deployment_name=os.environ["BENCH_DEPLOYMENT"], build_id=os.environ["BENCH_BUILD_ID"]
    ),
    configure,
)
