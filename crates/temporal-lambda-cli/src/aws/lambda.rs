//! Lambda: a function, its versions, and how it is invoked.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::action::Action;
use super::client::{Aws, Request};
use super::error::AwsError;
use super::function::{Configuration, Function, HANDLER, NewFunction, RUNTIME, Update};

const FUNCTIONS: &str = "/2015-03-31/functions";
/// How long a function or a version may take to become ready, and how often it is looked at.
const READY: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(500);

impl Aws {
    /// `None` when there is none.
    pub(crate) async fn function(&self, name: &str) -> Result<Option<Function>, AwsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Got {
            configuration: Configuration,
            concurrency: Option<Concurrency>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Concurrency {
            reserved_concurrent_executions: Option<u64>,
        }
        let path = format!("/{name}");
        let got = self.lambda::<Got>(Action::GetFunction, Method::GET, &path, None).await;
        let got = if_there(got)?;
        Ok(got.map(|got| Function {
            latest: got.configuration,
            reserved_concurrency: got.concurrency.and_then(|it| it.reserved_concurrent_executions),
        }))
    }

    /// Makes a function, and waits until it is active.
    pub(crate) async fn create_function(
        &self,
        name: &str,
        new: &NewFunction<'_>,
    ) -> Result<(), AwsError> {
        let body = json!({
            "FunctionName": name,
            "Runtime": RUNTIME,
            "Handler": HANDLER,
            "Role": new.role,
            "Architectures": [new.architecture],
            "MemorySize": new.memory,
            "Timeout": new.timeout,
            "Environment": { "Variables": new.variables },
            "Code": { "ZipFile": BASE64_STANDARD.encode(new.zip) },
        });
        let _: Value = self.lambda(Action::CreateFunction, Method::POST, "", Some(body)).await?;
        self.ready(name, None).await.map(drop)
    }

    /// Replaces the code of `$LATEST`, and waits until it is in place.
    pub(crate) async fn update_code(
        &self,
        name: &str,
        zip: &[u8],
        architecture: &str,
    ) -> Result<(), AwsError> {
        let body =
            json!({ "ZipFile": BASE64_STANDARD.encode(zip), "Architectures": [architecture] });
        let path = format!("/{name}/code");
        let _: Value =
            self.lambda(Action::UpdateFunctionCode, Method::PUT, &path, Some(body)).await?;
        self.ready(name, None).await.map(drop)
    }

    /// Changes the configuration of `$LATEST`, and waits until it is in place.
    pub(crate) async fn update_configuration(
        &self,
        name: &str,
        update: &Update,
    ) -> Result<(), AwsError> {
        let mut body = serde_json::Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            body.extend(value.map(|value| (key.to_owned(), value)));
        };
        set("Role", update.role.as_ref().map(|it| json!(it)));
        set("MemorySize", update.memory.map(|it| json!(it)));
        set("Timeout", update.timeout.map(|it| json!(it)));
        set("Environment", update.variables.as_ref().map(|it| json!({ "Variables": it })));
        set("Runtime", update.runtime.then(|| json!(RUNTIME)));
        set("Handler", update.runtime.then(|| json!(HANDLER)));
        let (action, path) =
            (Action::UpdateFunctionConfiguration, format!("/{name}/configuration"));
        let _: Value = self.lambda(action, Method::PUT, &path, Some(body.into())).await?;
        self.ready(name, None).await.map(drop)
    }

    /// Makes a version of `$LATEST`, if its code is still `sha256`, and waits until it is active.
    pub(crate) async fn publish(
        &self,
        name: &str,
        sha256: &str,
        description: &str,
    ) -> Result<Configuration, AwsError> {
        let body = json!({ "CodeSha256": sha256, "Description": description });
        let path = format!("/{name}/versions");
        let published: Configuration =
            self.lambda(Action::PublishVersion, Method::POST, &path, Some(body)).await?;
        self.ready(name, Some(&published.version)).await
    }

    /// The published versions, the newest first.
    pub(crate) async fn versions(&self, name: &str) -> Result<Vec<Configuration>, AwsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            versions: Vec<Configuration>,
            next_marker: Option<String>,
        }
        let mut versions = Vec::new();
        let mut query = String::new();
        loop {
            let path = format!("/{name}/versions{query}");
            let page =
                self.lambda::<Page>(Action::ListVersionsByFunction, Method::GET, &path, None);
            let Some(page) = if_there(page.await)? else { break };
            versions.extend(page.versions.into_iter().filter(|it| it.number().is_some()));
            let Some(marker) = page.next_marker.filter(|it| !it.is_empty()) else { break };
            query = format!("?Marker={}", utf8_percent_encode(&marker, NON_ALPHANUMERIC));
        }
        versions.sort_by_key(|it| std::cmp::Reverse(it.number()));
        Ok(versions)
    }

    /// Deletes one version, and no more. One that is gone is as good as deleted.
    pub(crate) async fn delete_version(&self, name: &str, number: u64) -> Result<(), AwsError> {
        let path = format!("/{name}?Qualifier={number}");
        let deleted = self.lambda::<Value>(Action::DeleteFunction, Method::DELETE, &path, None);
        if_there(deleted.await).map(drop)
    }

    /// How often Lambda repeats a failed asynchronous call of a version; `None` when nothing says.
    pub(crate) async fn retries(&self, name: &str, version: &str) -> Result<Option<u64>, AwsError> {
        let got =
            self.dated(Action::GetFunctionEventInvokeConfig, Method::GET, name, version, None);
        Ok(if_there(got.await)?.and_then(|it| it["MaximumRetryAttempts"].as_u64()))
    }

    /// Keeps Lambda from repeating failed asynchronous calls of a version.
    pub(crate) async fn no_retries(&self, name: &str, version: &str) -> Result<(), AwsError> {
        let body = Some(json!({ "MaximumRetryAttempts": 0 }));
        let action = Action::PutFunctionEventInvokeConfig;
        self.dated(action, Method::PUT, name, version, body).await.map(drop)
    }

    /// Limits how many environments there are at once, and reserves as many.
    pub(crate) async fn reserve_concurrency(&self, name: &str, most: u64) -> Result<(), AwsError> {
        let path = format!("/2017-10-31/functions/{name}/concurrency");
        let body = Some(json!({ "ReservedConcurrentExecutions": most }));
        self.call(&Request::new(Action::PutFunctionConcurrency, Method::PUT, path, body))
            .await
            .map(drop)
    }

    /// Invokes a version as the Worker Controller does, and does not wait for it.
    pub(crate) async fn wake(&self, name: &str, version: &str) -> Result<(), AwsError> {
        let path = format!("/{name}/invocations?Qualifier={version}");
        let body = Some(json!({}));
        self.lambda::<Value>(Action::InvokeFunction, Method::POST, &path, body).await.map(drop)
    }

    /// Waits until `$LATEST` or a version is ready.
    pub(crate) async fn ready(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Configuration, AwsError> {
        let what = version.map_or_else(|| name.to_owned(), |it| format!("{name}:{it}"));
        let query = version.map(|it| format!("?Qualifier={it}")).unwrap_or_default();
        let path = format!("/{name}/configuration{query}");
        let began = Instant::now();
        loop {
            let action = Action::GetFunctionConfiguration;
            let seen: Configuration = self.lambda(action, Method::GET, &path, None).await?;
            let state = seen.state.as_deref().unwrap_or("Active");
            let update = seen.last_update_status.as_deref().unwrap_or("Successful");
            let reason = match (state, update) {
                ("Failed", _) => seen.state_reason.clone(),
                (_, "Failed") => seen.last_update_status_reason.clone(),
                // An inactive one wakes up when it is called.
                ("Active" | "Inactive", "Successful") => return Ok(seen),
                _ if began.elapsed() >= READY => {
                    let state = format!("{state}, {update}");
                    return Err(AwsError::NotReady { what, state, within: READY });
                }
                _ => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            let reason = reason.unwrap_or_else(|| "AWS gives no reason".to_owned());
            return Err(AwsError::Broken { what, reason });
        }
    }

    async fn dated(
        &self,
        action: Action,
        method: Method,
        name: &str,
        version: &str,
        body: Option<Value>,
    ) -> Result<Value, AwsError> {
        let path = format!("/2019-09-25/functions/{name}/event-invoke-config?Qualifier={version}");
        self.call(&Request::new(action, method, path, body)).await
    }

    async fn lambda<T: DeserializeOwned>(
        &self,
        action: Action,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, AwsError> {
        let answer =
            self.call(&Request::new(action, method, format!("{FUNCTIONS}{path}"), body)).await?;
        // The parser's message could quote the value of a variable.
        serde_json::from_value(answer).map_err(|_| AwsError::Answer {
            action,
            reason: "a field is missing, or of another kind".to_owned(),
        })
    }
}

fn if_there<T>(outcome: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match outcome {
        Err(error) if error.is_not_found() => Ok(None),
        outcome => outcome.map(Some),
    }
}
