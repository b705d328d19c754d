//! What can be wrong with a deployment, who is at fault, and what to change.

use std::path::PathBuf;
use std::time::Duration;

/// Why a deployment cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    #[error(
        "say which function is meant: --function, or run the command in the folder of its package"
    )]
    NoName,
    #[error(
        "{name:?} is no name of a Lambda function: those have 1 to 64 letters, digits, `-` and `_`; give another with --function"
    )]
    FunctionName { name: String },
    #[error(
        "{name:?} is no name of a worker deployment: Temporal takes none with `.` or `:` or with `__` at its start; give another with --deployment"
    )]
    DeploymentName { name: String },
    #[error(
        "cargo lambda cannot be run: {reason}; install it (`pip install cargo-lambda`), or give a zip that is ready with --zip"
    )]
    NoCargoLambda { reason: String },
    #[error("cargo lambda made {made} programs ({names}); name the function's with --bin")]
    Programs { made: usize, names: String },
    #[error("{} cannot be read: {reason}", file.display())]
    File { file: PathBuf, reason: String },
    #[error("{} is no deployment package: {reason}", file.display())]
    Package { file: PathBuf, reason: String },
    #[error(
        "the package's `bootstrap` is for {built}, and --arch says {told}: leave --arch out, or build for {told}"
    )]
    Architecture { built: String, told: String },
    #[error(
        "the package has {megabytes} MB, and Lambda takes 50 MB at most in a request; build with `strip = true` and `lto = true`, and include less"
    )]
    TooLarge { megabytes: usize },
    #[error(
        "the function {function} does not exist yet, and nothing says which role it is to run as: give --role with the role's ARN"
    )]
    NoRole { function: String },
    #[error(
        "nothing is current in the worker deployment {deployment} yet, so that the other workflows would find no worker: leave --ramp out"
    )]
    NothingToRampFrom { deployment: String },
    #[error(
        "{name} is set for the function, but the build ID is the number of the published version, and no other: take \
         the variable away (--unset-env {name})"
    )]
    OtherBuildId { name: &'static str },
    #[error(
        "--env {name} takes the value from this process's environment, which has no such variable: set it, or give {name}=VALUE"
    )]
    NoVariable { name: String },
    #[error(
        "no worker polled as {version} within {within:?}, so that no task queue is bound to it, and it was not given any \
         workflow. The function's log ({log}) says why. Usual reasons: the function does not reach the server, has no \
         credentials for it, or has its version in code instead of from `LambdaVersion`. When it is mended, run the same \
         command again"
    )]
    NoPoll { version: String, within: Duration, log: String },
    #[error(
        "Temporal cannot call {version}: {said}. It is Temporal that calls AWS here, and not this command: the role of \
         --invoke-role has to trust Temporal's principals with this --external-id (sts:AssumeRole), and to allow \
         lambda:GetFunction and lambda:InvokeFunction on {arn}; the guide's chapter on deploying has that policy. \
         When it is mended, run the same command again"
    )]
    Uncallable { version: String, arn: String, said: String },
    #[error(
        "the worker deployment {deployment} does not exist in namespace {namespace}; `temporal-lambda deploy` makes it"
    )]
    NoDeployment { deployment: String, namespace: String },
    #[error(
        "no version of {deployment} was current before {current}: there is nothing to go back to"
    )]
    NothingBefore { deployment: String, current: String },
    #[error(
        "{version} was current before, but its Lambda version is gone: workflows would find no worker. Deploy the old \
         code again"
    )]
    LambdaVersionGone { version: String },
    #[error(
        "the worker deployment {deployment} has no current version, so that nothing says which versions are old; nothing was deleted"
    )]
    NoCurrent { deployment: String },
}
