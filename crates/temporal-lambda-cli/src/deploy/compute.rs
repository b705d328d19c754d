//! What Temporal calls for a version: the compute configuration of a Lambda function.

use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::compute::v1::{
    ComputeConfig, ComputeConfigScalingGroup, ComputeProvider, ComputeScaler,
};

/// The name of the one group of workers that a version has.
pub(super) const GROUP: &str = "default";

/// The role by which Temporal calls a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InvokeRole {
    pub(super) arn: String,
    pub(super) external_id: String,
}

/// A published version of a function, and the role by which it is called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compute {
    pub(super) arn: String,
    pub(super) role: Option<InvokeRole>,
}

impl Compute {
    pub(super) fn group(&self) -> ComputeConfigScalingGroup {
        let mut details = json!({ "arn": self.arn });
        if let Some(role) = &self.role {
            details["role"] = role.arn.as_str().into();
            details["role_external_id"] = role.external_id.as_str().into();
        }
        let details = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: details.to_string().into_bytes(),
            ..Default::default()
        };
        ComputeConfigScalingGroup {
            provider: Some(ComputeProvider {
                r#type: "aws-lambda".to_owned(),
                details: Some(details),
                ..Default::default()
            }),
            scaler: Some(ComputeScaler { r#type: "no-sync".to_owned(), details: None }),
            ..Default::default()
        }
    }

    /// What a version has, as far as it is a Lambda function.
    pub(super) fn of(config: &ComputeConfig) -> Option<Self> {
        let provider = config.scaling_groups.get(GROUP)?.provider.as_ref()?;
        let details: Value = serde_json::from_slice(&provider.details.as_ref()?.data).ok()?;
        let text =
            |name: &str| details[name].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
        let role = text("role").map(|arn| InvokeRole {
            arn,
            external_id: text("role_external_id").unwrap_or_default(),
        });
        Some(Self { arn: text("arn")?, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compute_configuration_is_read_as_it_was_written() {
        let role = InvokeRole { arn: "arn:role".to_owned(), external_id: "secret".to_owned() };
        for role in [None, Some(role)] {
            let compute = Compute { arn: "arn:function:1".to_owned(), role };
            let config =
                ComputeConfig { scaling_groups: [(GROUP.to_owned(), compute.group())].into() };
            assert_eq!(Compute::of(&config), Some(compute));
        }
        assert_eq!(Compute::of(&ComputeConfig::default()), None);
    }
}
