//! S3's REST interface, as a client with settings.

mod answer;
mod endpoint;
mod exchange;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};

use crate::error::ExternalStorageError;
use crate::s3::client::{ConditionalPut, S3Client};
use crate::s3::error::S3Error;
use crate::s3::http::ForCredentials;

use endpoint::Endpoint;
use exchange::{Exchange, Operation};

/// A client for S3 and what speaks like it.
///
/// Cheap to clone; clones share connections. It has a thread of its own once it is used, so one
/// client per process is enough, for workers and starters alike. Throttled and failed requests are
/// repeated until the driver's transfer timeout.
#[derive(Clone)]
pub struct AwsS3Client {
    inner: Arc<Exchange>,
}

/// The settings of an [`AwsS3Client`].
pub struct AwsS3ClientBuilder {
    settings: AmazonS3Builder,
    region: Option<String>,
    endpoint: Option<String>,
    credentials: Option<AwsCredentialProvider>,
}

impl AwsS3Client {
    /// A client that is set up by the environment, as a Lambda function is: `AWS_REGION` (else
    /// `AWS_DEFAULT_REGION`), `AWS_ENDPOINT_URL_S3` (else `AWS_ENDPOINT_URL`), and credentials from
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. Without the former,
    /// credentials come from the container's or the instance's credential server or a web
    /// identity, and are fetched again before they expire. An empty variable counts as unset.
    ///
    /// Nothing is read or connected yet, except the environment.
    ///
    /// # Errors
    ///
    /// There is no region, or the endpoint is no URL.
    pub fn from_env() -> Result<Self, ExternalStorageError> {
        Self::builder().build()
    }

    /// The settings that [`from_env`](Self::from_env) has, to be changed.
    pub fn builder() -> AwsS3ClientBuilder {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            (name.starts_with("AWS_") && !value.is_empty()).then_some((name, value))
        });
        AwsS3ClientBuilder::from_variables(variables)
    }
}

impl AwsS3ClientBuilder {
    fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut settings = AmazonS3Builder::new();
        let mut found = BTreeMap::new();
        for (name, value) in variables {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                settings = settings.with_config(key, value.clone());
            }
            found.insert(name, value);
        }
        let first = |names: [&str; 2]| names.iter().find_map(|name| found.get(*name).cloned());
        Self {
            settings,
            region: first(["AWS_REGION", "AWS_DEFAULT_REGION"]),
            endpoint: first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            credentials: None,
        }
    }

    /// The region of the buckets.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Another server than AWS, as a URL: `http://127.0.0.1:9000`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Fixed credentials.
    #[must_use]
    pub fn static_credentials(
        mut self,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        let credential = AwsCredential {
            key_id: access_key_id.into(),
            secret_key: secret_access_key.into(),
            token: session_token,
        };
        let provider = object_store::StaticCredentialProvider::new(credential);
        self.credentials = Some(Arc::new(provider));
        self
    }

    /// Credentials from elsewhere. The provider is asked before each attempt, so it should keep
    /// what it has until shortly before it expires.
    #[must_use]
    pub fn credentials(mut self, provider: AwsCredentialProvider) -> Self {
        self.credentials = Some(provider);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// There is no region, or the endpoint is no URL.
    pub fn build(self) -> Result<AwsS3Client, ExternalStorageError> {
        let invalid = ExternalStorageError::InvalidConfiguration;
        let region = self.region.filter(|region| !region.is_empty()).ok_or_else(|| {
            invalid("the S3 client needs a region: set AWS_REGION, or the builder's region".into())
        })?;
        let endpoint = Endpoint::new(self.endpoint.as_deref(), &region).map_err(invalid)?;
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => {
                // Only its credentials are used. It asks for a bucket's name all the same.
                let store = self
                    .settings
                    .with_region(&region)
                    .with_bucket_name("any")
                    .with_allow_http(true)
                    .with_http_connector(ForCredentials)
                    .build();
                // `object_store` names the setting, and no value of one that is secret.
                store.map_err(|error| invalid(error.to_string()))?.credentials().clone()
            }
        };
        Ok(AwsS3Client { inner: Arc::new(Exchange::new(endpoint, region, credentials)) })
    }
}

#[async_trait]
impl S3Client for AwsS3Client {
    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3Error> {
        let operation = Operation::put(bucket, key, content);
        let answer = self.inner.answer(&operation).await?;
        if answer.status().is_success() { Ok(()) } else { Err(self.inner.error(&answer)) }
    }

    async fn exists(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        let operation = Operation::head(bucket, key);
        let answer = self.inner.answer(&operation).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::FORBIDDEN => Err(self.inner.error(&answer).with_advice(
                "for a missing object, S3 answers this to a role without s3:ListBucket",
            )),
            _ => Err(self.inner.error(&answer)),
        }
    }

    async fn get(&self, bucket: &str, key: &str, limit: u64) -> Result<Bytes, S3Error> {
        let operation = Operation::get(bucket, key, limit);
        let answer = self.inner.answer(&operation).await?;
        if answer.status() == StatusCode::OK {
            Ok(answer.into_body())
        } else {
            Err(self.inner.error(&answer))
        }
    }

    async fn describe(&self) -> Result<BTreeMap<String, String>, S3Error> {
        Ok(BTreeMap::from([("client_region".to_owned(), self.inner.region.clone())]))
    }

    async fn put_if_absent(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<ConditionalPut, S3Error> {
        if self.inner.no_conditional_put.load(Ordering::Relaxed) {
            return Ok(ConditionalPut::NotSupported);
        }
        let operation = Operation::put(bucket, key, content.clone()).if_absent();
        let answer = self.inner.answer(&operation).await?;
        match answer.status() {
            status if status.is_success() => Ok(ConditionalPut::Stored),
            StatusCode::PRECONDITION_FAILED => Ok(ConditionalPut::AlreadyThere),
            // Somebody else writes or deletes the object just now. The key says what its content
            // is, so that overwriting does no harm.
            StatusCode::CONFLICT => {
                self.put(bucket, key, content).await?;
                Ok(ConditionalPut::Stored)
            }
            StatusCode::NOT_IMPLEMENTED => {
                self.inner.no_conditional_put.store(true, Ordering::Relaxed);
                Ok(ConditionalPut::NotSupported)
            }
            _ => Err(self.inner.error(&answer)),
        }
    }
}

impl fmt::Debug for AwsS3Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsS3Client")
            .field("region", &self.inner.region)
            .field("endpoint", &self.inner.endpoint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AwsS3ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsS3ClientBuilder")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn builder(variables: &[(&str, &str)]) -> AwsS3ClientBuilder {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        AwsS3ClientBuilder::from_variables(variables)
    }

    #[tokio::test]
    async fn an_s3_client_is_set_up_by_lambdas_variables() {
        let client = builder(&[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_LAMBDA_FUNCTION_NAME", "ignored"),
        ]);
        let client = client.build().unwrap();
        let shown = format!("{client:?}");
        assert!(shown.contains("https://s3.eu-west-1.amazonaws.com"), "{shown}");
        let credential = client.inner.credentials.get_credential().await.unwrap();
        assert_eq!((&*credential.key_id, &*credential.secret_key), ("AKIA", "secret"));
        assert_eq!(credential.token.as_deref(), Some("token"));
    }

    /// A server of credentials that gives others each time.
    async fn credentials_that_expire_at(time: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let uri = format!("http://{}/role", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            let [id, secret] = ["AKIA", "secret"].map(|name| format!("{name}{number}"));
            let body = serde_json::json!({
                "AccessKeyId": id, "SecretAccessKey": secret, "Token": "t", "Expiration": time,
            });
            async move { body.to_string() }
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        uri
    }

    #[tokio::test]
    async fn credentials_of_a_server_are_kept_until_shortly_before_they_expire_then_fetched_again()
    {
        for (time, expected) in [
            ("2999-01-01T00:00:00Z", ["AKIA0", "AKIA0"]),
            ("2000-01-01T00:00:00Z", ["AKIA0", "AKIA1"]),
        ] {
            let uri = credentials_that_expire_at(time).await;
            let client = builder(&[
                ("AWS_REGION", "eu-west-1"),
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/dev/null"),
            ]);
            let credentials = client.build().unwrap().inner.credentials.clone();
            for expected in expected {
                assert_eq!(credentials.get_credential().await.unwrap().key_id, expected, "{time}");
                // The server is asked no more often than every 0.1 s.
                tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            }
        }
    }

    #[test]
    fn an_endpoint_of_s3_alone_comes_before_one_of_all_services() {
        let all = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        let s3 = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2");
        assert_eq!(builder(&[all, s3]).endpoint.as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(builder(&[all]).endpoint.as_deref(), Some("http://127.0.0.1:1"));
        let default = builder(&[("AWS_DEFAULT_REGION", "us-east-1")]);
        assert_eq!(default.region.as_deref(), Some("us-east-1"));
    }
}
