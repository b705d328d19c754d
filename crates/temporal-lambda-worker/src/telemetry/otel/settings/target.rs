//! The collector of a signal: its address, transport, headers and timeout.

use std::time::Duration;

use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::options::{OtelError, OtelOptions};
use super::super::variables::{Signal, Variables};
use super::resource::{pairs, said};

/// OTLP's port for HTTP.
const HTTP_PORT: u16 = 4318;

/// A collector, and how requests are sent to it.
#[derive(Clone, Debug)]
pub(in super::super) struct Target {
    pub(in super::super) uri: Uri,
    pub(in super::super) transport: Transport,
    pub(in super::super) gzip: bool,
    /// Headers of each request. They are marked as sensitive, so that their `Debug` does not show them.
    pub(in super::super) headers: HeaderMap,
    /// How long one request may take.
    pub(in super::super) timeout: Duration,
}

/// The transports of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Transport {
    Grpc,
    /// With protobuf.
    Http,
}

impl Transport {
    /// The ADOT Lambda layer's collector, and everybody else's.
    fn default_endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:4317",
            Self::Http => "http://localhost:4318",
        }
    }
}

/// An endpoint, and the setting that it comes from.
struct Said {
    text: String,
    /// `None`: the option.
    variable: Option<String>,
}

/// The target of a signal. `None`: it is not exported, because a setting says so or none can be used.
pub(super) fn of(
    signal: Signal,
    options: &OtelOptions,
    variables: &mut Variables<'_>,
) -> Result<Option<Target>, OtelError> {
    if !is_exported(signal, variables) {
        return Ok(None);
    }
    let said = endpoint(signal, options, variables);
    let transport = transport(signal, said.as_ref(), variables);
    let gzip = compression(signal, variables);
    let headers = headers(signal, variables);
    let timeout = variables
        .exporter(signal, "TIMEOUT")
        .and_then(|(name, value)| variables.millis(&name, &value))
        .unwrap_or(options.flush_timeout);
    let text = said.as_ref().map_or(transport.default_endpoint(), |said| &said.text);
    let is_signals_own = said.as_ref().is_some_and(|said| {
        said.variable.as_ref().is_some_and(|name| name.contains(signal.in_variables()))
    });
    let insecure = variables.exporter(signal, "INSECURE");
    let insecure = insecure.and_then(|(name, _)| variables.flag(&name));
    let is_variables = said.as_ref().is_some_and(|said| said.variable.is_some());
    let whole = match transport {
        Transport::Grpc if is_variables => with_scheme(text, insecure),
        _ => text.to_owned(),
    };
    let uri = match address(&whole) {
        Ok(uri) if transport == Transport::Http && !is_signals_own => below(&uri, signal),
        Ok(uri) => Ok(uri),
        Err(reason) => Err(reason),
    };
    match (uri, said.as_ref().and_then(|said| said.variable.as_ref())) {
        (Ok(uri), _) => Ok(Some(Target { uri, transport, gzip, headers, timeout })),
        (Err(reason), None) => Err(OtelError::Endpoint { endpoint: shown(text), reason }),
        (Err(reason), Some(name)) => {
            let endpoint = shown(text);
            variables.warn(format!(
                "{name}={endpoint:?} cannot be used ({reason}), so no {signal} are exported"
            ));
            Ok(None)
        }
    }
}

/// By `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER`, which may be lists.
fn is_exported(signal: Signal, variables: &mut Variables<'_>) -> bool {
    let name = format!("OTEL_{}_EXPORTER", signal.in_variables());
    let Some(list) = variables.get(&name) else { return true };
    let exporters: Vec<String> = list
        .split(',')
        .map(|it| it.trim().to_ascii_lowercase())
        .filter(|it| !it.is_empty())
        .collect();
    for other in exporters.iter().filter(|it| !matches!(it.as_str(), "otlp" | "none")) {
        variables.warn(format!("{name}: {other:?} is not supported, only otlp and none are"));
    }
    // Unknown names are ignored, and the default is otlp.
    exporters.iter().any(|it| it == "otlp") || !exporters.iter().any(|it| it == "none")
}

fn endpoint(signal: Signal, options: &OtelOptions, variables: &Variables<'_>) -> Option<Said> {
    let option = said(options.endpoint.as_deref());
    let option = option.map(|text| Said { text: text.to_owned(), variable: None });
    option.or_else(|| {
        let (name, text) = variables.exporter(signal, "ENDPOINT")?;
        Some(Said { text, variable: Some(name) })
    })
}

fn transport(signal: Signal, endpoint: Option<&Said>, variables: &mut Variables<'_>) -> Transport {
    let Some((name, value)) = variables.exporter(signal, "PROTOCOL") else {
        return by_port(endpoint);
    };
    match value.to_ascii_lowercase().as_str() {
        "grpc" => Transport::Grpc,
        "http/protobuf" => Transport::Http,
        "http/json" => {
            variables.warn(format!("{name}={value:?} is not supported; taken as http/protobuf"));
            Transport::Http
        }
        _ => {
            variables.warn(format!("{name}={value:?} is neither grpc nor http/protobuf; ignored"));
            by_port(endpoint)
        }
    }
}

/// The transport by the endpoint's port, where no setting names one.
fn by_port(endpoint: Option<&Said>) -> Transport {
    let uri = endpoint.and_then(|said| said.text.parse::<Uri>().ok());
    match uri.and_then(|uri| uri.port_u16()) {
        Some(HTTP_PORT) => Transport::Http,
        _ => Transport::Grpc,
    }
}

fn compression(signal: Signal, variables: &mut Variables<'_>) -> bool {
    let Some((name, value)) = variables.exporter(signal, "COMPRESSION") else { return false };
    match value.to_ascii_lowercase().as_str() {
        "gzip" => true,
        "none" => false,
        _ => {
            variables.warn(format!("{name}={value:?} is neither gzip nor none; taken as none"));
            false
        }
    }
}

fn headers(signal: Signal, variables: &mut Variables<'_>) -> HeaderMap {
    let Some((name, text)) = variables.exporter(signal, "HEADERS") else {
        return HeaderMap::new();
    };
    let header = |(key, value): (String, String)| {
        let key = HeaderName::from_bytes(key.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((key, value))
    };
    let pairs = pairs(&text);
    let headers = pairs.and_then(|pairs| pairs.into_iter().map(header).collect::<Option<_>>());
    headers.unwrap_or_else(|| {
        variables.warn(format!(
            "{name} is not a list of header=value, percent-encoded, so no header is sent"
        ));
        HeaderMap::new()
    })
}

/// A variable for gRPC may lack the scheme; by the specification it is `https` then, unless
/// `insecure` says otherwise. Here a loopback address is `http` then: hardly any has TLS.
fn with_scheme(text: &str, insecure: Option<bool>) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    let host = text.split(['/', ':']).next().unwrap_or_default();
    let plain = insecure.unwrap_or(matches!(host, "localhost" | "127.0.0.1"));
    format!("{}://{text}", if plain { "http" } else { "https" })
}

fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("http" | "https") => Err("it has no host".to_owned()),
        _ => Err("it begins with neither http:// nor https://".to_owned()),
    }
}

/// The signal's own path below a general endpoint.
fn below(uri: &Uri, signal: Signal) -> Result<Uri, String> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}/v1/{signal}{query}", uri.path().trim_end_matches('/'));
    let mut parts = uri.clone().into_parts();
    let path: PathAndQuery =
        path.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

/// An endpoint without the parts that may be secret: a password before the host, a key in the query.
fn shown(endpoint: &str) -> String {
    let endpoint = endpoint.split('?').next().unwrap_or_default();
    let Some((before, host)) = endpoint.rsplit_once('@') else { return endpoint.to_owned() };
    let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
    format!("{scheme}…@{host}")
}
