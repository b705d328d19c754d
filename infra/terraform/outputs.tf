output "version_arn" {
  description = "For create-version, --aws-lambda-function-arn."
  value       = aws_lambda_function.worker.qualified_arn
}

output "build_id" {
  description = "For create-version, --build-id."
  value       = aws_lambda_function.worker.version
}

output "invocation_role_arn" {
  description = "For create-version, --aws-lambda-assume-role-arn."
  value       = aws_iam_role.invocation.arn
}
