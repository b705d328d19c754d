variable "function_name" {
  type        = string
  default     = "hello"
  description = "The function's name; also the worker deployment's, where the function takes its version from Lambda."
}

variable "package" {
  type        = string
  description = "The path of the zip file that cargo lambda has made. A change of the file publishes a version."
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "What the program was built for."

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "It is arm64 or x86_64."
  }
}

variable "memory_size" {
  type        = number
  default     = 256
  description = "In MB. More memory is more CPU."
}

variable "timeout" {
  type        = number
  default     = 60
  description = "In seconds. The last 7 of them are the shutdown buffer, unless a setting says otherwise."

  validation {
    condition     = var.timeout >= 10 && var.timeout <= 900
    error_message = "It is 10 to 900: less would leave the worker no time."
  }
}

variable "idle_timeout" {
  type        = string
  default     = "2s"
  description = "An invocation ends when there was nothing to do for this long."
}

variable "reserved_concurrency" {
  type        = number
  default     = -1
  description = "The most environments at once; -1 reserves nothing, so that the account's limit is the only one."
}

variable "log_retention_days" {
  type        = number
  default     = 14
  description = "How many days the function's log is kept."
}

variable "temporal_address" {
  type        = string
  description = "The address of the Temporal namespace or server, with its port."
}

variable "temporal_namespace" {
  type        = string
  default     = "default"
  description = "The namespace. In Temporal Cloud it ends in the account ID."
}

variable "temporal_api_key" {
  type        = string
  default     = ""
  sensitive   = true
  description = "An API key, readable by whoever may read the function's configuration. Empty for none."
}

variable "temporal_principals" {
  type        = list(string)
  description = "ARNs of the roles that Temporal calls AWS by. Temporal's guide to Serverless Workers lists those of Temporal Cloud."
}

variable "external_id" {
  type        = string
  description = "What Temporal must say to get the role; the same as in create-version."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_+=,.@-]{5,45}$", var.external_id))
    error_message = "It has 5 to 45 characters: letters, digits and _+=,.@-"
  }
}

variable "collector_layer" {
  type        = string
  default     = ""
  description = "The ARN of a layer with an OpenTelemetry collector, which reads collector.yaml in the package. Empty for none."
}
