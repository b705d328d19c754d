//! Requests that are signed, sent and repeated until there is an answer.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};

use super::answer;
use super::endpoint::Endpoint;
use crate::s3::error::S3Error;
use crate::s3::http::{Answer, MOST_TEXT, Transport, Unanswered};
use crate::s3::last_failure;

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

/// What a client needs to get an answer.
pub(super) struct Exchange {
    pub(super) endpoint: Endpoint,
    pub(super) region: String,
    pub(super) credentials: AwsCredentialProvider,
    transport: Transport,
    /// Whether the server is known to have no conditional PUT.
    pub(super) no_conditional_put: AtomicBool,
}

/// What is asked of S3, as often as it takes.
pub(super) struct Operation<'a> {
    method: Method,
    bucket: &'a str,
    key: &'a str,
    content: Bytes,
    if_absent: bool,
    attempt: Duration,
    /// The most bytes that an answer's content may have.
    limit: u64,
}

impl<'a> Operation<'a> {
    fn new(method: Method, bucket: &'a str, key: &'a str) -> Self {
        let (content, if_absent, attempt, limit) = (Bytes::new(), false, ATTEMPT, MOST_TEXT);
        Self { method, bucket, key, content, if_absent, attempt, limit }
    }

    pub(super) fn head(bucket: &'a str, key: &'a str) -> Self {
        Self::new(Method::HEAD, bucket, key)
    }

    /// The whole object, of at most `limit` bytes.
    pub(super) fn get(bucket: &'a str, key: &'a str, limit: u64) -> Self {
        Self { attempt: DOWNLOAD_ATTEMPT, limit, ..Self::new(Method::GET, bucket, key) }
    }

    pub(super) fn put(bucket: &'a str, key: &'a str, content: Bytes) -> Self {
        let upload = Duration::from_secs(content.len() as u64 / BYTES_PER_SECOND);
        let attempt = ATTEMPT + upload;
        Self { content, attempt, ..Self::new(Method::PUT, bucket, key) }
    }

    /// Only if there is no object yet.
    pub(super) fn if_absent(self) -> Self {
        Self { if_absent: true, ..self }
    }
}

impl Exchange {
    pub(super) fn new(
        endpoint: Endpoint,
        region: String,
        credentials: AwsCredentialProvider,
    ) -> Self {
        let (transport, no_conditional_put) = Default::default();
        Self { endpoint, region, credentials, transport, no_conditional_put }
    }

    /// The answer to an operation. Those that may be better later are not taken for an answer.
    pub(super) async fn answer(&self, operation: &Operation<'_>) -> Result<Answer, S3Error> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let outcome = self.attempt(operation).await;
            let wanted = outcome.as_ref().ok().and_then(answer::retry_after).unwrap_or_default();
            let retry = match &outcome {
                Ok(answer) => answer::is_worth_a_retry(answer),
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
                    last_failure::note(self.error(&answer));
                }
                Err(Attempt::Failed(error)) => {
                    tracing::debug!(%error, attempt, method = %operation.method, "S3 again");
                    last_failure::note(error);
                }
            }
            tokio::time::sleep(about(pause).max(wanted)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last attempt returns")
    }

    /// The error in an answer.
    pub(super) fn error(&self, answer: &Answer) -> S3Error {
        answer::error(answer, &self.region)
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
        let exchange = self.transport.execute(request, operation.limit);
        match tokio::time::timeout(operation.attempt, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Unanswered::TooLong(at_least))) => {
                Err(Attempt::Refused(S3Error::object_too_large(at_least)))
            }
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
