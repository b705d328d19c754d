//! CloudWatch Logs: a function's log group, and how long it is kept.

use http::Method;
use serde_json::{Value, json};

use super::action::Action;
use super::client::{Aws, Request};
use super::error::AwsError;

impl Aws {
    /// How many days a log group is kept, `None` for ever; `Ok(None)` when there is no such group.
    pub(crate) async fn log_retention(&self, group: &str) -> Result<Option<Option<u64>>, AwsError> {
        let answer =
            self.logs(Action::DescribeLogGroups, json!({ "logGroupNamePrefix": group })).await?;
        let groups = answer["logGroups"].as_array().cloned().unwrap_or_default();
        let found = groups.iter().find(|it| it["logGroupName"] == group);
        Ok(found.map(|it| it["retentionInDays"].as_u64()))
    }

    pub(crate) async fn create_log_group(&self, group: &str) -> Result<(), AwsError> {
        match self.logs(Action::CreateLogGroup, json!({ "logGroupName": group })).await {
            Err(error) if !error.is_there() => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn keep_log(&self, group: &str, days: u64) -> Result<(), AwsError> {
        let retention = json!({ "logGroupName": group, "retentionInDays": days });
        self.logs(Action::PutRetentionPolicy, retention).await.map(drop)
    }

    async fn logs(&self, action: Action, body: Value) -> Result<Value, AwsError> {
        self.call(&Request::new(action, Method::POST, "/".to_owned(), Some(body))).await
    }
}
