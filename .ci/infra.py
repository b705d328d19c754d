#!/usr/bin/env python3
"""The CloudFormation template and the Terraform files in infra/ make the same things, by the numbers in the guide.

Both are parsed, and their permissions, who may use them, the function's settings and all defaults are
compared. cfn-lint looks for what is wrong in the template by itself; that Terraform's provider takes the
files is not seen here. Needs the folder that .ci/tools prints: run it with the Python there.
"""

import re
import sys
from pathlib import Path

import hcl2
from cfnlint.decode import cfn_yaml

root = Path(__file__).parent.parent
guide = (root / "crates/temporal-lambda-worker/src/docs/deploying.md").read_text()


def plain(value):
    """What hcl2 has read, without its quotes, and an expression without its brackets."""
    if isinstance(value, dict):
        return {plain(key): plain(it) for key, it in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(it) for it in value]
    if isinstance(value, str) and value.startswith('"') and value.endswith('"'):
        return value[1:-1].replace('\\"', '"')
    return value


def terraform():
    files = [plain(hcl2.loads(path.read_text())) for path in sorted((root / "infra/terraform").glob("*.tf"))]
    merged = {"resource": {}, "data": {}, "variable": {}, "output": {}}
    for file in files:
        for kind in ("resource", "data"):
            for block in file.get(kind, []):
                for type_name, named in block.items():
                    for name, body in named.items():
                        merged[kind][f"{type_name}.{name}"] = body
        for kind in ("variable", "output"):
            for block in file.get(kind, []):
                merged[kind].update(block)
    merged["locals"] = next(file["locals"][0] for file in files if "locals" in file)
    return merged


template = cfn_yaml.load(str(root / "infra/cloudformation.yaml"))
resources = template["Resources"]
tf = terraform()

# The same thing by its two names.
NAMES = {
    "${Function.Arn}": "<function>",
    "${aws_lambda_function.worker.arn}": "<function>",
    # The attribute of CloudFormation has this end already.
    "${LogGroup.Arn}": "<log group>:*",
    "${aws_cloudwatch_log_group.worker.arn}": "<log group>",
    "${AWS::Partition}": "<partition>",
    "${data.aws_partition.current.partition}": "<partition>",
}


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def text(value):
    """A value of either kind as text, with the things and parameters that it names."""
    if isinstance(value, dict):
        [(function, argument)] = value.items()
        if function == "Ref":
            return f"<{snake(argument)}>"
        if function == "Fn::GetAtt":
            return text("${" + ".".join(argument) + "}")
        if function == "Fn::Sub":
            return re.sub(r"\$\{([A-Za-z]+)\}", lambda it: f"<{snake(it[1])}>", text(argument))
        raise ValueError(f"{function} is not understood here")
    if isinstance(value, list):
        return [text(it) for it in value]
    for name, thing in NAMES.items():
        value = value.replace(name, thing) if isinstance(value, str) else value
    if isinstance(value, str):
        value = re.sub(r"\$\{var\.([a-z_]+)\}", r"<\1>", value)
    return value


def many(value):
    value = text(value)
    return value if isinstance(value, list) else [value]


def of_template(document):
    """The statements of a policy: who, what, on what, on which condition."""
    statements = set()
    for statement in document["Statement"]:
        who = statement.get("Principal", {})
        conditions = statement.get("Condition", {})
        statements.add((
            frozenset((kind, one) for kind, it in who.items() for one in many(it)),
            frozenset(many(statement["Action"])),
            frozenset(many(statement.get("Resource", []))),
            frozenset((test, name, one) for test, its in conditions.items() for name, it in its.items() for one in many(it)),
        ))
        assert statement["Effect"] == "Allow", statement
    return statements


def of_terraform(name):
    statements = set()
    for statement in tf["data"][f"aws_iam_policy_document.{name}"]["statement"]:
        who = statement.get("principals", [])
        conditions = statement.get("condition", [])
        statements.add((
            frozenset((it["type"], one) for it in who for one in many(it["identifiers"])),
            frozenset(many(statement["actions"])),
            frozenset(many(statement.get("resources", []))),
            frozenset((it["test"], it["variable"], one) for it in conditions for one in many(it["values"])),
        ))
        assert "effect" not in statement, statement
    return statements


problems = []


def same(what, one, other):
    if one != other:
        problems.append(f"{what}: CloudFormation has {one}, Terraform has {other}")


for role, name in [("ExecutionRole", "execution"), ("InvocationRole", "invocation")]:
    document = resources[role]["Properties"]["AssumeRolePolicyDocument"]
    same(f"who may be the role {name}", of_template(document), of_terraform(f"{name}_trust"))
    used = tf["resource"][f"aws_iam_role.{name}"]["assume_role_policy"]
    same(f"the trust policy of {name}", "${data.aws_iam_policy_document.%s_trust.json}" % name, used)
attached = set()
for resource in resources.values():
    if resource["Type"] != "AWS::IAM::RolePolicy":
        continue
    properties = resource["Properties"]
    name = properties["PolicyName"]
    attached.add(f"aws_iam_role_policy.{name}")
    same(f"what the policy {name} allows", of_template(properties["PolicyDocument"]), of_terraform(name))
    policy = tf["resource"][f"aws_iam_role_policy.{name}"]
    same(f"the document of {name}", "${data.aws_iam_policy_document.%s.json}" % name, policy["policy"])
    role = snake(properties["RoleName"]["Ref"]).removesuffix("_role")
    same(f"the role of {name}", "${aws_iam_role.%s.id}" % role, policy["role"])
    is_optional = "count" in policy
    same(f"whether {name} is only there with a collector", resource.get("Condition") == "HasCollector", is_optional)
same("the policies", attached, {name for name in tf["resource"] if name.startswith("aws_iam_role_policy.")})

function = resources["Function"]["Properties"]
other = tf["resource"]["aws_lambda_function.worker"]
for name in ["FunctionName", "Runtime", "Handler", "Architectures", "MemorySize", "Timeout"]:
    same(f"the function's {name}", text(function[name]), text(other[snake(name)]))
group, other_group = resources["LogGroup"]["Properties"], tf["resource"]["aws_cloudwatch_log_group.worker"]
same("the log group's name", text(group["LogGroupName"]), text(other_group["name"]))
same("how long the log is kept", text(group["RetentionInDays"]), text(other_group["retention_in_days"]))
retries = resources["EventInvokeConfig"]["Properties"]["MaximumRetryAttempts"]
retried = tf["resource"]["aws_lambda_function_event_invoke_config.worker"]
same("the retries", retries, retried["maximum_retry_attempts"])
same("of which the retries are", "${aws_lambda_function.worker.version}", retried["qualifier"])
variables = set(function["Environment"]["Variables"])
same("the variables", variables, set(re.findall(r"\b([A-Z][A-Z_]+) =", tf["locals"]["variables"])))

parameters = {snake(name): it for name, it in template["Parameters"].items()}
# Where the code comes from differs: a bucket there, a file here.
ours = {name: it for name, it in parameters.items() if name not in ("code_bucket", "code_key")}
theirs = {name: it for name, it in tf["variable"].items() if name != "package"}
same("the parameters", set(ours), set(theirs))
for name in set(ours) & set(theirs):
    same(f"the default of {name}", ours[name].get("Default"), theirs[name].get("default"))
    same(f"the description of {name}", ours[name]["Description"], theirs[name]["description"])
outputs = {snake(name): it["Description"] for name, it in template["Outputs"].items()}
same("the outputs", outputs, {name: it["description"] for name, it in tf["output"].items()})

# What the guide says of them.
row = {name: value for name, value in re.findall(r"^\| ([a-zA-Z ]+) \| ([^|]+) \|", guide, re.MULTILINE)}
for setting, wanted in [
    ("runtime", f"`{function['Runtime']}`"),
    ("memory", f"{parameters['memory_size']['Default']} MB"),
    ("timeout", f"{parameters['timeout']['Default']} s"),
    ("MaximumRetryAttempts", str(retries)),
]:
    if not re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", row.get(setting, "")):
        problems.append(f"the guide's row on {setting} does not have {wanted}: {row.get(setting)}")
[(_, actions, on, _)] = of_template(resources["InvocationPolicy"]["Properties"]["PolicyDocument"])
said = re.search(r'"Action": \[("lambda:[^\]]+)\],\s+"Resource": "([^"]+)"', guide)
if set(re.findall(r'"([^"]+)"', said[1])) != actions or said[2].endswith(":*") != all(it.endswith(":*") for it in on):
    problems.append(f"the guide allows Temporal {said[1]} on {said[2]}, the template {sorted(actions)} on {sorted(on)}")
limits = re.search(r"\{(\d+),(\d+)\}", template["Parameters"]["ExternalId"]["AllowedPattern"])
if f"{limits[1]} to {limits[2]} characters" not in guide or limits[0] not in str(tf["variable"]["external_id"]):
    problems.append(f"the external ID's length is {limits[0]} in the template, and something else elsewhere")

if problems:
    sys.exit("\n".join(problems))
print(f"{len(resources)} resources, {len(ours)} parameters: the same in both")
