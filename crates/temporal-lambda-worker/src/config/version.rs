//! The worker deployment version, from the function's name and version in Lambda's variables.

use temporalio_common::worker::WorkerDeploymentVersion;

use super::read::variables::{PREFIX, Variables};
use crate::error::ConfigError;

/// The worker deployment version of a published Lambda function: one published version is one build ID.
///
/// The deployment name is `TEMPORAL_LAMBDA_DEPLOYMENT_NAME`, else the function's name; the build
/// ID is `TEMPORAL_LAMBDA_BUILD_ID`, else the function's published version. `$LATEST` is none, and
/// neither is `$LATEST.PUBLISHED`, which functions on managed instances have.
#[derive(Clone, Copy, Debug, Default)]
pub struct LambdaVersion {
    allow_latest: bool,
}

impl LambdaVersion {
    /// Takes the version from the environment that Lambda sets; `$LATEST` is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts `$LATEST` as a build ID. Every deployment then has the same build ID, so
    /// workflows that are pinned to it run on changed code: for development only.
    pub fn allow_latest(mut self) -> Self {
        self.allow_latest = true;
        self
    }

    /// The version.
    ///
    /// # Errors
    /// [`ConfigError::NotInLambda`] where Lambda's variables are missing and this crate's own are not set
    /// either, [`ConfigError::UnpublishedVersion`] for `$LATEST`.
    pub fn resolve(self) -> Result<WorkerDeploymentVersion, ConfigError> {
        self.resolve_in(&Variables::of_process())
    }

    fn resolve_in(self, variables: &Variables) -> Result<WorkerDeploymentVersion, ConfigError> {
        let first = |ours: &str, lambdas: &'static str| {
            let value = match variables.get(&format!("{PREFIX}{ours}"))? {
                Some(value) => Some(value),
                None => variables.get(lambdas)?,
            };
            value.map(str::to_owned).ok_or(ConfigError::NotInLambda { name: lambdas })
        };
        let deployment_name = first("DEPLOYMENT_NAME", "AWS_LAMBDA_FUNCTION_NAME")?;
        let build_id = first("BUILD_ID", "AWS_LAMBDA_FUNCTION_VERSION")?;
        if build_id.starts_with("$LATEST") && !self.allow_latest {
            return Err(ConfigError::UnpublishedVersion { version: build_id });
        }
        Ok(WorkerDeploymentVersion::builder()
            .deployment_name(deployment_name)
            .build_id(build_id)
            .build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_function_names_its_own_version() {
        let environment = Variables::of([
            ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "17"),
        ]);
        let version = LambdaVersion::new().resolve_in(&environment).unwrap();
        assert_eq!((version.deployment_name.as_str(), version.build_id.as_str()), ("orders", "17"));
    }

    #[test]
    fn the_crates_own_variables_override_lambdas() {
        let environment = Variables::of([
            ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("TEMPORAL_LAMBDA_BUILD_ID", "abc"),
        ]);
        assert_eq!(LambdaVersion::new().resolve_in(&environment).unwrap().build_id, "abc");
    }

    #[test]
    fn an_unpublished_version_is_refused_unless_allowed() {
        for version in ["$LATEST", "$LATEST.PUBLISHED"] {
            let environment = Variables::of([
                ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
                ("AWS_LAMBDA_FUNCTION_VERSION", version),
            ]);
            let refused = LambdaVersion::new().resolve_in(&environment);
            assert!(matches!(refused, Err(ConfigError::UnpublishedVersion { .. })), "{refused:?}");
            let allowed = LambdaVersion::new().allow_latest().resolve_in(&environment);
            assert_eq!(allowed.unwrap().build_id, version);
        }
    }

    #[test]
    fn a_blank_variable_of_the_crate_does_not_override_lambdas() {
        let environment = Variables::of([
            ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "17"),
            ("TEMPORAL_LAMBDA_BUILD_ID", " "),
        ]);
        assert_eq!(LambdaVersion::new().resolve_in(&environment).unwrap().build_id, "17");
    }

    #[test]
    fn a_version_outside_of_lambda_is_refused() {
        let nowhere = LambdaVersion::new().resolve_in(&Variables::default());
        assert!(matches!(nowhere, Err(ConfigError::NotInLambda { .. })), "{nowhere:?}");
    }
}
