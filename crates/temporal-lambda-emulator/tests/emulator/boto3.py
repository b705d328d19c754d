"""Deploys, publishes, points an alias, invokes and deletes, with AWS's own client for Python."""

import json
import sys

import boto3

endpoint, package, other = sys.argv[1], sys.argv[2], sys.argv[3]
client = boto3.client(
    "lambda",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
code = open(package, "rb").read()
created = client.create_function(
    FunctionName="worker",
    Runtime="provided.al2023",
    Handler="bootstrap",
    Role="arn:aws:iam::000000000000:role/worker",
    Code={"ZipFile": code},
    Environment={"Variables": {"MOOD": "good"}},
)
client.get_waiter("function_active_v2").wait(FunctionName="worker")
assert created["State"] == "Active", created
first = client.publish_version(FunctionName="worker")
assert first["Version"] == "1" and first["CodeSha256"] == created["CodeSha256"], first
client.create_alias(FunctionName="worker", Name="live", FunctionVersion="1")
client.update_function_code(FunctionName="worker", ZipFile=open(other, "rb").read())
client.get_waiter("function_updated_v2").wait(FunctionName="worker")
client.update_function_configuration(FunctionName="worker", Timeout=30, MemorySize=256)
second = client.publish_version(FunctionName="worker", Description="second")
assert second["Version"] == "2" and second["Timeout"] == 30, second


def invoke(qualifier):
    answer = client.invoke(
        FunctionName="worker", Qualifier=qualifier, Payload=b"{}", LogType="Tail"
    )
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
    return answer["ExecutedVersion"], json.load(answer["Payload"])["word"]


assert invoke("live") == ("1", "one")
assert invoke("2") == ("2", "two")
client.update_alias(FunctionName="worker", Name="live", FunctionVersion="2")
assert invoke("live") == ("2", "two")
assert client.get_alias(FunctionName="worker", Name="live")["FunctionVersion"] == "2"
assert [it["Name"] for it in client.list_aliases(FunctionName="worker")["Aliases"]] == ["live"]

pages = client.get_paginator("list_versions_by_function")
pages = pages.paginate(FunctionName="worker", PaginationConfig={"PageSize": 1})
versions = [version["Version"] for page in pages for version in page["Versions"]]
assert versions == ["$LATEST", "1", "2"], versions
assert [it["FunctionName"] for it in client.list_functions()["Functions"]] == ["worker"]

config = client.put_function_event_invoke_config(FunctionName="worker", MaximumRetryAttempts=0)
assert config["MaximumRetryAttempts"] == 0 and config["LastModified"].year > 2000, config
assert client.get_function_event_invoke_config(FunctionName="worker")["MaximumRetryAttempts"] == 0
client.delete_function_event_invoke_config(FunctionName="worker")
client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=5)
got = client.get_function(FunctionName="worker", Qualifier="2")
assert got["Concurrency"]["ReservedConcurrentExecutions"] == 5, got

try:
    client.delete_function(FunctionName="worker", Qualifier="2")
    raise SystemExit("an alias leads to version 2")
except client.exceptions.ResourceConflictException:
    pass
client.delete_function(FunctionName="worker", Qualifier="1")
try:
    client.get_function(FunctionName="worker", Qualifier="1")
    raise SystemExit("version 1 was deleted")
except client.exceptions.ResourceNotFoundException:
    pass
client.delete_alias(FunctionName="worker", Name="live")
client.delete_function(FunctionName="worker")
assert client.list_functions()["Functions"] == []
