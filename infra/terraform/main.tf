# A Lambda function that is a Temporal worker, and the role by which Temporal calls its versions. What belongs
# to Temporal (the worker deployment, its versions, which of them is current) is not in here.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

data "aws_partition" "current" {}

locals {
  has_collector = var.collector_layer != ""

  variables = merge(
    {
      TEMPORAL_ADDRESS             = var.temporal_address
      TEMPORAL_NAMESPACE           = var.temporal_namespace
      TEMPORAL_LAMBDA_IDLE_TIMEOUT = var.idle_timeout
    },
    var.temporal_api_key == "" ? {} : { TEMPORAL_API_KEY = var.temporal_api_key },
    local.has_collector ? { OPENTELEMETRY_COLLECTOR_CONFIG_URI = "/var/task/collector.yaml" } : {},
  )
}

resource "aws_cloudwatch_log_group" "worker" {
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention_days
}

data "aws_iam_policy_document" "execution_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "execution" {
  name_prefix        = "${var.function_name}-execution-"
  assume_role_policy = data.aws_iam_policy_document.execution_trust.json
}

data "aws_iam_policy_document" "log" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.worker.arn}:*"]
  }
}

resource "aws_iam_role_policy" "log" {
  name   = "log"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.log.json
}

data "aws_iam_policy_document" "telemetry" {
  statement {
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"]
  }

  statement {
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["arn:${data.aws_partition.current.partition}:logs:*:*:log-group:/metrics/temporal-lambda-worker*"]
  }
}

resource "aws_iam_role_policy" "telemetry" {
  count  = local.has_collector ? 1 : 0
  name   = "telemetry"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.telemetry.json
}

resource "aws_lambda_function" "worker" {
  function_name                  = var.function_name
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_size
  timeout                        = var.timeout
  role                           = aws_iam_role.execution.arn
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  reserved_concurrent_executions = var.reserved_concurrency
  layers                         = local.has_collector ? [var.collector_layer] : []

  # Every change makes a version. The earlier ones stay: workflows may be pinned to them.
  publish = true

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.worker.name
  }

  tracing_config {
    mode = local.has_collector ? "Active" : "PassThrough"
  }

  environment {
    variables = local.variables
  }

  depends_on = [aws_iam_role_policy.log]
}

# Temporal's Worker Controller calls again by itself. Of the version that is replaced here, Lambda tries failed
# calls twice more again, which costs something and harms nothing.
resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name          = aws_lambda_function.worker.function_name
  qualifier              = aws_lambda_function.worker.version
  maximum_retry_attempts = 0
}

data "aws_iam_policy_document" "invocation_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.temporal_principals
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

resource "aws_iam_role" "invocation" {
  name_prefix        = "${var.function_name}-invocation-"
  assume_role_policy = data.aws_iam_policy_document.invocation_trust.json
}

data "aws_iam_policy_document" "invoke" {
  statement {
    actions   = ["lambda:GetFunction", "lambda:InvokeFunction"]
    resources = ["${aws_lambda_function.worker.arn}:*"]
  }
}

resource "aws_iam_role_policy" "invoke" {
  name   = "invoke"
  role   = aws_iam_role.invocation.id
  policy = data.aws_iam_policy_document.invoke.json
}
