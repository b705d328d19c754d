"""Looks whether AWS has the calls of the page on standard input, with these flags. Prints how many there are."""

import re
import shlex
import sys

import botocore.session

# What the `aws` program knows for every call, and for these.
EVERYWHERE = {"cli-binary-format", "output", "query"}
ADDED = {("lambda", "create-function"): {"zip-file"}}
# Commands that are the program's own, and no calls of an API.
OWN = {("cloudformation", "deploy"), ("s3", "cp")}

session = botocore.session.get_session()


def commands(page):
    """The words of each `aws` command in the page's shell blocks."""
    for block in re.findall(r"^ *```sh\n(.*?)```", page, re.MULTILINE | re.DOTALL):
        pending = ""
        for line in block.replace("\\\n", " ").split("\n"):
            pending += line + "\n"
            try:
                words = shlex.split(re.sub(r"^\s*\w+=\$\((.*)\)\s*$", r"\1", pending))
            except ValueError:  # A quotation goes on in the next line.
                continue
            pending = ""
            if words[:1] == ["aws"]:
                yield words[1:]


def kebab(name):
    return botocore.xform_name(name).replace("_", "-")


def named(names, wanted):
    known = {kebab(name): name for name in names}
    if wanted not in known:
        sys.exit(f"AWS has no {wanted}")
    return known[wanted]


def look(service, operation, *arguments):
    if (service, operation) in OWN:
        return
    model = session.get_service_model(service)
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        called = waiters.get_waiter(named(waiters.waiter_names, arguments[0])).operation
    else:
        called = named(model.operation_names, operation)
    members = model.operation_model(called).input_shape.members
    known = {kebab(name) for name in members} | EVERYWHERE | ADDED.get((service, operation), set())
    for flag in (word.removeprefix("--") for word in arguments if word.startswith("--")):
        if flag not in known:
            sys.exit(f"aws {service} {operation} has no --{flag}")


looked_at = 0
for words in commands(sys.stdin.read()):
    look(*words)
    looked_at += 1
print(looked_at)
