"""The Python side of the comparison: the example `hello` on Temporal's own Lambda worker."""

import asyncio
import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.aws.lambda_worker import LambdaWorkerConfig, run_worker

HEARTBEAT = timedelta(milliseconds=200)
START_TO_CLOSE = timedelta(seconds=60)


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@activity.defn
async def nap(millis: int) -> int:
    end = asyncio.get_running_loop().time() + millis / 1000
    while (left := end - asyncio.get_running_loop().time()) > 0:
        activity.heartbeat()
        await asyncio.sleep(min(left, HEARTBEAT.total_seconds()))
    return activity.info().attempt


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class HelloWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=START_TO_CLOSE)


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class SleepWorkflow:
    @workflow.run
    async def run(self, millis: int) -> int:
        return await workflow.execute_activity(
            nap, millis, start_to_close_timeout=START_TO_CLOSE, heartbeat_timeout=5 * HEARTBEAT
        )


def configure(config: LambdaWorkerConfig) -> None:
    config.worker_config["workflows"] = [HelloWorkflow, SleepWorkflow]
    config.worker_config["activities"] = [greet, nap]


handler = run_worker(
    WorkerDeploymentVersion(
        deployment_name=os.environ["TEMPORAL_LAMBDA_DEPLOYMENT_NAME"],
        build_id=os.environ["TEMPORAL_LAMBDA_BUILD_ID"],
    ),
    configure,
)
