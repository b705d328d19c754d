//! The names of a function and its worker deployment.

use super::error::DeployError;

/// Whose deployment it is.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) function: String,
    pub(super) deployment: String,
    pub(super) namespace: String,
}

impl Names {
    pub(super) fn new(
        function: String,
        deployment: Option<String>,
        namespace: String,
    ) -> Result<Self, DeployError> {
        let is_word = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if function.is_empty() || function.len() > 64 || !function.chars().all(is_word) {
            return Err(DeployError::FunctionName { name: function });
        }
        let deployment = deployment.unwrap_or_else(|| function.clone());
        if deployment.is_empty() || deployment.contains(['.', ':']) || deployment.starts_with("__")
        {
            return Err(DeployError::DeploymentName { name: deployment });
        }
        Ok(Self { function, deployment, namespace })
    }

    /// A version, as Temporal writes it.
    pub(super) fn version(&self, build_id: &str) -> String {
        format!("{}:{build_id}", self.deployment)
    }

    pub(super) fn no_deployment(&self) -> DeployError {
        DeployError::NoDeployment {
            deployment: self.deployment.clone(),
            namespace: self.namespace.clone(),
        }
    }

    pub(super) fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.function)
    }

    /// The description of published versions. By it `prune` knows the versions of this deployment: the same function
    /// may be deployed for several namespaces.
    pub(super) fn mark(&self) -> String {
        format!("temporal-lambda: {} in namespace {}", self.deployment, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(function: &str, deployment: Option<&str>) -> Result<Names, DeployError> {
        Names::new(function.to_owned(), deployment.map(str::to_owned), "default".to_owned())
    }

    #[test]
    fn a_deployment_has_the_functions_name_unless_it_has_another() {
        assert!(names("hello", None).is_ok_and(|it| it.deployment == "hello"));
        assert!(names("hello", Some("orders")).is_ok_and(|it| it.version("3") == "orders:3"));
    }

    #[test]
    fn names_that_lambda_or_temporal_refuse_are_refused_before_anything_happens() {
        assert!(matches!(names("a.b", None), Err(DeployError::FunctionName { .. })));
        assert!(matches!(names("", None), Err(DeployError::FunctionName { .. })));
        for name in ["a.b", "a:b", "__a", ""] {
            let refused = names("hello", Some(name));
            assert!(matches!(refused, Err(DeployError::DeploymentName { .. })), "{name:?}");
        }
    }
}
