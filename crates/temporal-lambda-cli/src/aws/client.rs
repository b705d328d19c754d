//! Calls of AWS: where they go, who makes them, and how often they are made.

use std::time::Duration;

use http::{HeaderValue, Method, Uri, header};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use serde_json::Value;

use super::action::Action;
use super::credentials::{self, variable};
use super::error::AwsError;
use super::http::Http;
use super::said::Said;

/// Where `--endpoint local` is: `temporal-lambda cloud` listens there.
pub(crate) const LOCAL_PORT: u16 = 7238;
/// The region of an emulator, unless another is given.
const EMULATED_REGION: &str = "us-east-1";
/// How long one attempt may take, and how much longer for each megabyte that it sends.
const ATTEMPT: Duration = Duration::from_secs(20);
const PER_MEGABYTE: Duration = Duration::from_secs(3);
/// Pauses between attempts: twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// With the pauses, somewhat less than a minute.
const MOST_ATTEMPTS: u32 = 15;

/// Which AWS is meant, and as whom.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct AwsArgs {
    /// Another server than AWS, as a URL; `local`: the one of `temporal-lambda cloud` on this machine.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The AWS region. Default: AWS_REGION, else the profile's.
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// A profile of the `aws` program, which is asked for its credentials. Default: the AWS_* variables,
    /// else the default profile.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl AwsArgs {
    /// Whether an emulator on this machine is meant.
    pub(crate) fn is_local(&self) -> bool {
        let endpoint = self.endpoint_of("AWS_ENDPOINT_URL_LAMBDA");
        let uri = endpoint.and_then(|it| it.parse::<Uri>().ok());
        let host = uri.as_ref().and_then(Uri::host);
        host.is_some_and(|it| matches!(it, "localhost" | "127.0.0.1" | "[::1]"))
    }

    fn endpoint_of(&self, variable_of_service: &str) -> Option<String> {
        let given = self.endpoint.as_ref().map(|endpoint| match endpoint.as_str() {
            "local" => format!("http://127.0.0.1:{LOCAL_PORT}"),
            url => url.trim_end_matches('/').to_owned(),
        });
        given.or_else(|| variable(variable_of_service)).or_else(|| variable("AWS_ENDPOINT_URL"))
    }
}

/// What is asked of AWS.
pub(super) struct Request {
    pub(super) action: Action,
    method: Method,
    /// With its query.
    path: String,
    body: Option<Value>,
}

impl Request {
    pub(super) fn new(action: Action, method: Method, path: String, body: Option<Value>) -> Self {
        Self { action, method, path, body }
    }
}

/// AWS, as somebody in a region.
pub(crate) struct Aws {
    region: String,
    lambda: String,
    logs: String,
    credential: AwsCredential,
    http: Http,
}

impl Aws {
    /// Finds out where AWS is and who calls it. Nothing is called yet.
    pub(crate) async fn new(args: &AwsArgs) -> Result<Self, AwsError> {
        let profile = args.profile.as_deref();
        let set = args.region.clone();
        let set = set.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = match set {
            Some(region) => region,
            None if args.is_local() => EMULATED_REGION.to_owned(),
            None => credentials::region(profile).await.ok_or(AwsError::NoRegion)?,
        };
        if !region.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
            return Err(AwsError::Region(region));
        }
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = |service: &str, variable: &str| {
            let url = args.endpoint_of(variable);
            let url = url.unwrap_or_else(|| format!("https://{service}.{region}.{suffix}"));
            let parsed = url.parse::<Uri>().ok();
            let fits = parsed.is_some_and(|it| {
                matches!(it.scheme_str(), Some("http" | "https")) && it.host().is_some()
            });
            if fits { Ok(url) } else { Err(AwsError::Endpoint(url)) }
        };
        let lambda = url("lambda", "AWS_ENDPOINT_URL_LAMBDA")?;
        let logs = url("logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS")?;
        let credential = match profile {
            None if args.is_local() => credentials::for_an_emulator(),
            profile => credentials::find(profile).await?,
        };
        // The signer takes for granted that these can be headers.
        let values = [Some(&credential.key_id), credential.token.as_ref()];
        if values.into_iter().flatten().any(|it| HeaderValue::from_str(it).is_err()) {
            let reason =
                "the access key ID or the session token has a character that no header may have";
            return Err(AwsError::NoCredentials(reason.to_owned()));
        }
        let broken = |reason| AwsError::Broken { what: "TLS".to_owned(), reason };
        let http = Http::new().map_err(broken)?;
        Ok(Self { region, lambda, logs, credential, http })
    }

    /// Where functions are, in words.
    pub(crate) fn place(&self) -> String {
        format!("{} ({})", self.region, self.lambda)
    }

    /// The answer to a request, which is made again while that may help.
    pub(super) async fn call(&self, request: &Request) -> Result<Value, AwsError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.attempt(request).await {
                Err(error) if error.is_passing() && attempt < MOST_ATTEMPTS => {}
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Value, AwsError> {
        let action = request.action;
        let endpoint = if action.service() == "logs" { &self.logs } else { &self.lambda };
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        let within = ATTEMPT + PER_MEGABYTE * u32::try_from(body.len() >> 20).unwrap_or(u32::MAX);
        let signed = self.signed(request, endpoint, body)?;
        let answer = self.http.execute(signed, within).await.map_err(|reason| {
            AwsError::Unreachable { action, endpoint: endpoint.clone(), reason }
        })?;
        let text = answer.body();
        if answer.status().is_success() {
            let nothing = text.iter().all(u8::is_ascii_whitespace);
            let parsed = if nothing { Ok(Value::Null) } else { serde_json::from_slice(text) };
            return parsed.map_err(|error| AwsError::Answer { action, reason: error.to_string() });
        }
        let header = answer.headers().get("x-amzn-errortype").and_then(|it| it.to_str().ok());
        let said = Said::in_an_answer(answer.status().as_u16(), header, text);
        Err(AwsError::refused(action, &self.credential.key_id, &said.code, &said.message))
    }

    fn signed(
        &self,
        request: &Request,
        endpoint: &str,
        body: String,
    ) -> Result<HttpRequest, AwsError> {
        let action = request.action;
        let url = format!("{endpoint}{}", request.path);
        let mut signed = HttpRequest::new(HttpRequestBody::from(bytes::Bytes::from(body)));
        *signed.method_mut() = request.method.clone();
        *signed.uri_mut() = url.parse().map_err(|_| AwsError::Endpoint(url))?;
        let headers = signed.headers_mut();
        let name = action.name();
        if action.service() == "logs" {
            let (_, operation) = name.split_once(':').unwrap_or_default();
            let target = HeaderValue::from_str(&format!("Logs_20140328.{operation}"));
            if let Ok(target) = target {
                headers.insert("x-amz-target", target);
            }
            let json = HeaderValue::from_static("application/x-amz-json-1.1");
            headers.insert(header::CONTENT_TYPE, json);
        } else if request.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if action == Action::InvokeFunction {
            headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
        }
        AwsAuthorizer::new(&self.credential, action.service(), &self.region)
            .try_authorize(&mut signed, None)
            .map_err(|error| AwsError::NoCredentials(error.to_string()))?;
        Ok(signed)
    }
}
