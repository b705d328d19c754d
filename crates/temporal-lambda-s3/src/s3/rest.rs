//! S3's REST interface: requests that are signed, sent and repeated until there is an answer.

mod answer;
mod endpoint;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential, AwsCredentialProvider,
};
use object_store::client::{HttpRequest, HttpRequestBody};

use crate::error::ExternalStorageError;
use crate::s3::client::{ConditionalPut, S3Client};
use crate::s3::error::S3Error;
use crate::s3::http::{Answer, ForCredentials, Transport};

use endpoint::Endpoint;

/// An attempt may take this long, and a second more for each megabyte that it uploads. Downloads
/// have no size before they begin, so they have the time of the largest default payload.
const ATTEMPT: Duration = Duration::from_secs(5);
const DOWNLOAD_ATTEMPT: Duration = Duration::from_secs(25);
const BYTES_PER_SECOND: u64 = 1_000_000;
/// The credentials of a function stand in its environment; elsewhere a server gives them.
const CREDENTIALS: Duration = Duration::from_secs(5);
/// The first pause between attempts and the longest one. Each is chosen at random between half of
/// it and the whole.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The driver's transfer timeout ends attempts sooner, mostly.
const MOST_ATTEMPTS: u32 = 10;

/// A client for S3 and what speaks like it.
///
/// Cheap to clone; clones share connections. It has a thread of its own once it is used, so one
/// client per process is enough, for workers and starters alike. Throttled and failed requests are
/// repeated until the driver's transfer timeout.
#[derive(Clone)]
pub struct AwsS3Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    region: String,
    credentials: AwsCredentialProvider,
    transport: Transport,
    /// Whether the server is known to have no conditional PUT.
    no_conditional_put: AtomicBool,
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
        Ok(AwsS3Client {
            inner: Arc::new(Inner {
                endpoint,
                region,
                credentials,
                transport: Transport::default(),
                no_conditional_put: AtomicBool::new(false),
            }),
        })
    }
}

/// What is asked of S3, as often as it takes.
struct Operation<'a> {
    method: Method,
    bucket: &'a str,
    key: &'a str,
    content: Bytes,
    if_absent: bool,
    attempt: Duration,
}

impl<'a> Operation<'a> {
    fn new(method: Method, bucket: &'a str, key: &'a str) -> Self {
        let attempt = if method == Method::GET { DOWNLOAD_ATTEMPT } else { ATTEMPT };
        Self { method, bucket, key, content: Bytes::new(), if_absent: false, attempt }
    }

    fn put(bucket: &'a str, key: &'a str, content: Bytes) -> Self {
        let upload = Duration::from_secs(content.len() as u64 / BYTES_PER_SECOND);
        let attempt = ATTEMPT + upload;
        Self { content, attempt, ..Self::new(Method::PUT, bucket, key) }
    }
}

impl Inner {
    /// The answer to an operation. Those that may be better later are not taken for an answer.
    async fn answer(&self, operation: &Operation<'_>) -> Result<Answer, S3Error> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let outcome = self.attempt(operation).await;
            let retry = match &outcome {
                Ok(answer) => answer::is_worth_a_retry(answer.status()),
                Err(Attempt::Failed(_)) => true,
                Err(Attempt::Refused(_)) => false,
            };
            match outcome {
                Ok(answer) if !retry || attempt == MOST_ATTEMPTS => return Ok(answer),
                Err(Attempt::Refused(error)) => return Err(error),
                Err(Attempt::Failed(error)) if attempt == MOST_ATTEMPTS => return Err(error),
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    tracing::debug!(status, attempt, method = %operation.method, "S3 again");
                }
                Err(Attempt::Failed(error)) => {
                    tracing::debug!(%error, attempt, method = %operation.method, "S3 again");
                }
            }
            tokio::time::sleep(about(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&self, operation: &Operation<'_>) -> Result<Answer, Attempt> {
        let target = self
            .endpoint
            .target(operation.bucket, operation.key)
            .map_err(|reason| Attempt::Refused(S3Error::new(reason)))?;
        let mut request = HttpRequest::new(HttpRequestBody::from(operation.content.clone()));
        *request.method_mut() = operation.method.clone();
        *request.uri_mut() = target.uri;
        if operation.if_absent {
            request.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let region = target.region.as_deref().unwrap_or(&self.region);
        self.sign(&mut request, region).await?;
        let answer = tokio::time::timeout(operation.attempt, self.transport.execute(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(unanswered)) => {
                let error = S3Error::new(format!("S3 cannot be reached: {unanswered}"));
                Err(Attempt::Failed(error))
            }
            Err(_) => Err(Attempt::Failed(S3Error::new(format!(
                "S3 did not answer within {:?}",
                operation.attempt
            )))),
        }
    }

    async fn sign(&self, request: &mut HttpRequest, region: &str) -> Result<(), Attempt> {
        let fetched = tokio::time::timeout(CREDENTIALS, self.credentials.get_credential()).await;
        let credential = match fetched {
            Ok(Ok(credential)) => credential,
            Ok(Err(error)) => return Err(Attempt::Failed(no_credentials(&error.to_string()))),
            Err(_) => {
                let reason = format!("nobody gave any within {CREDENTIALS:?}");
                return Err(Attempt::Failed(no_credentials(&reason)));
            }
        };
        // The signer takes for granted that these can be headers.
        for (value, name) in [
            (Some(&credential.key_id), "access key ID"),
            (credential.token.as_ref(), "session token"),
        ] {
            if value.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
                let reason = format!("the {name} has a character that no header may have");
                return Err(Attempt::Refused(no_credentials(&reason)));
            }
        }
        AwsAuthorizer::new(&credential, "s3", region)
            .try_authorize(request, None)
            .map_err(|error| Attempt::Refused(no_credentials(&error.to_string())))
    }
}

enum Attempt {
    /// Another attempt may go better.
    Failed(S3Error),
    /// It will not.
    Refused(S3Error),
}

fn no_credentials(reason: &str) -> S3Error {
    S3Error::new(format!(
        "no credentials for S3: {reason}. A Lambda function has them in its environment; elsewhere \
         set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the client a provider"
    ))
}

/// Between half of `pause` and the whole, so that many clients do not come back at once.
fn about(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let thousandths = u32::try_from(random % 501).expect("it is less than 501");
    pause * (500 + thousandths) / 1000
}

#[async_trait]
impl S3Client for AwsS3Client {
    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3Error> {
        let operation = Operation::put(bucket, key, content);
        let answer = self.inner.answer(&operation).await?;
        if answer.status().is_success() { Ok(()) } else { Err(answer::error(&answer)) }
    }

    async fn exists(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        let operation = Operation::new(Method::HEAD, bucket, key);
        let answer = self.inner.answer(&operation).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::FORBIDDEN => Err(answer::error(&answer).with_advice(
                "for a missing object, S3 answers this to a role without s3:ListBucket",
            )),
            _ => Err(answer::error(&answer)),
        }
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<Bytes, S3Error> {
        let operation = Operation::new(Method::GET, bucket, key);
        let answer = self.inner.answer(&operation).await?;
        if answer.status() == StatusCode::OK {
            Ok(answer.into_body())
        } else {
            Err(answer::error(&answer))
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
        let operation =
            Operation { if_absent: true, ..Operation::put(bucket, key, content.clone()) };
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
            _ => Err(answer::error(&answer)),
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
