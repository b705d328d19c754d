"""A Python client and worker with Temporal's own S3 driver, as it comes from PyPI.

peer.py start QUEUE ID NAME   starts CapitalsWorkflow with a large text; prints its result
peer.py work QUEUE            serves CapitalsWorkflow until standard input ends
peer.py store                 stores the payloads that stand on standard input; prints the claims
peer.py read                  reads the claims that stand on standard input; prints the payloads
"""

import asyncio
import dataclasses
import json
import os
import sys
from datetime import timedelta

import aioboto3
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.aws.s3driver import S3StorageDriver
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


def large(name: str) -> str:
    """The same text as in Rust."""
    return f"{name}, and so on. " * (1_000_000 // (len(name) + 13))


@activity.defn(name="capitals")
async def capitals(text: str) -> str:
    return text.upper()


@workflow.defn(name="CapitalsWorkflow")
class CapitalsWorkflow:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(
            capitals, text, start_to_close_timeout=timedelta(seconds=30)
        )


async def connect(driver: S3StorageDriver) -> Client:
    return await Client.connect(
        os.environ["PEER_TEMPORAL_ADDRESS"],
        data_converter=dataclasses.replace(
            DataConverter.default, external_storage=ExternalStorage(drivers=[driver])
        ),
    )


async def start(driver: S3StorageDriver, queue: str, workflow_id: str, name: str) -> None:
    client = await connect(driver)
    handle = await client.start_workflow(
        "CapitalsWorkflow", large(name), id=workflow_id, task_queue=queue, result_type=str
    )
    print("started", flush=True)
    print(json.dumps(await handle.result()))


async def work(driver: S3StorageDriver, queue: str) -> None:
    client = await connect(driver)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[CapitalsWorkflow],
        activities=[capitals],
        # The sandbox would import this file again, and with it an S3 client.
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        print("working", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def target(case: dict):
    kind = case.get("kind")
    if kind is None:
        return None
    kinds = {"workflow": StorageDriverWorkflowInfo, "activity": StorageDriverActivityInfo}
    return kinds[kind](
        namespace=case["namespace"],
        id=case.get("id"),
        run_id=case.get("run_id"),
        type=case.get("type"),
    )


def payload_of(case: dict) -> Payload:
    metadata = {key: value.encode() for key, value in case["metadata"].items()}
    return Payload(metadata=metadata, data=bytes(case["data"]))


async def store(driver: S3StorageDriver) -> None:
    claims = []
    for case in json.load(sys.stdin):
        context = StorageDriverStoreContext(target=target(case))
        [claim] = await driver.store(context, [payload_of(case)])
        claims.append(claim.claim_data)
    print(json.dumps(claims))


async def read(driver: S3StorageDriver) -> None:
    results = []
    for claim in json.load(sys.stdin):
        try:
            context = StorageDriverRetrieveContext()
            [payload] = await driver.retrieve(context, [StorageDriverClaim(claim_data=claim)])
        except Exception as error:  # What it says is what the test looks at.
            results.append({"error": str(error)})
            continue
        metadata = {key: value.decode() for key, value in payload.metadata.items()}
        results.append({"metadata": metadata, "data": list(payload.data)})
    print(json.dumps(results))


async def main(command: str, *arguments: str) -> None:
    commands = {"start": start, "work": work, "store": store, "read": read}
    session = aioboto3.Session()
    async with session.client("s3", endpoint_url=os.environ["PEER_S3_ENDPOINT"]) as s3:
        driver = S3StorageDriver(
            client=new_aioboto3_client(s3), bucket=os.environ["PEER_BUCKET"]
        )
        await commands[command](driver, *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
