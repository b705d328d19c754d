"""The function of the swarm on Temporal's own Lambda worker for Python; see functions/swarming.rs."""

import asyncio
import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.aws.lambda_worker import LambdaWorkerConfig, run_worker

START_TO_CLOSE = timedelta(seconds=20)


@activity.defn
async def work(millis: int) -> int:
    await asyncio.sleep(millis / 1000)
    return millis


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class Chain:
    @workflow.run
    async def run(self, millis: list[int]) -> int:
        for each in millis:
            await workflow.execute_activity(work, each, start_to_close_timeout=START_TO_CLOSE)
        return len(millis)


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class LocalChain:
    @workflow.run
    async def run(self, millis: list[int]) -> int:
        for each in millis:
            await workflow.execute_local_activity(work, each, start_to_close_timeout=START_TO_CLOSE)
        return len(millis)


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class Mailbox:
    def __init__(self) -> None:
        self.count = 0

    @workflow.run
    async def run(self, expected: int) -> int:
        await workflow.wait_condition(lambda: self.count >= expected)
        return self.count

    @workflow.signal
    def put(self, number: int) -> None:
        self.count += 1

    @workflow.query
    def received(self) -> int:
        return self.count

    @workflow.update
    def put_and_count(self, number: int) -> int:
        self.count += 1
        return self.count


def configure(config: LambdaWorkerConfig) -> None:
    config.worker_config["workflows"] = [Chain, LocalChain, Mailbox]
    config.worker_config["activities"] = [work]
    grace = timedelta(seconds=float(os.environ["SWARM_GRACE_SECONDS"]))
    config.worker_config["graceful_shutdown_timeout"] = grace
    config.shutdown_deadline_buffer = grace + timedelta(seconds=2)


handler = run_worker(
    WorkerDeploymentVersion(
        deployment_name=os.environ["TEMPORAL_LAMBDA_DEPLOYMENT_NAME"],
        build_id=os.environ["TEMPORAL_LAMBDA_BUILD_ID"],
    ),
    configure,
)
