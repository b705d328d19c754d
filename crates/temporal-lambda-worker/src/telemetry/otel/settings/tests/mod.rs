use std::collections::BTreeMap;

use super::*;

mod resource;

/// What options and these variables come to.
fn read(options: &OtelOptions, variables: &[(&str, &str)]) -> Settings {
    try_read(options, variables).unwrap()
}

fn try_read(options: &OtelOptions, variables: &[(&str, &str)]) -> Result<Settings, OtelError> {
    let all: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Settings::read(options, &|name| all.get(name).map(|value| (*value).to_owned()))
}

fn by(variables: &[(&str, &str)]) -> Settings {
    read(&OtelOptions::default(), variables)
}

/// Where traces and metrics go.
fn uris(settings: &Settings) -> [String; 2] {
    [&settings.traces, &settings.metrics].map(|it| it.as_ref().unwrap().uri.to_string())
}

#[test]
fn without_variables_all_goes_by_grpc_to_the_collector_of_the_layer() {
    let settings = by(&[]);
    assert!(!settings.disabled && settings.warnings.is_empty(), "{settings:?}");
    assert_eq!(uris(&settings), ["http://localhost:4317/"; 2]);
    let target = settings.traces.unwrap();
    assert_eq!((target.transport, target.gzip), (Transport::Grpc, false));
    assert_eq!(target.timeout, Duration::from_secs(1));
    assert!(target.headers.is_empty());
    assert_eq!(settings.temporality, Temporality::Cumulative);
    assert_eq!(settings.metric_interval, Duration::from_secs(10));
    assert_eq!(format!("{:?}", settings.sampler), "ParentBased(AlwaysOn)");
    assert_eq!(settings.propagators, Propagators::DEFAULT);
}

#[test]
fn a_variable_that_is_empty_or_blank_is_as_good_as_unset() {
    let names = [
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
        "OTEL_METRICS_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_INSECURE",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_PROPAGATORS",
    ];
    // A resource has its attributes in no order.
    let parts = |mut settings: Settings| {
        let resource = std::mem::replace(&mut settings.resource, Resource::builder_empty().build());
        (format!("{settings:?}"), resource)
    };
    let unset = parts(by(&[]));
    for blank in ["", " ", "\t\n"] {
        for name in names {
            assert_eq!(parts(by(&[(name, blank)])), unset, "{name}={blank:?}");
        }
    }
    // An empty variable of one signal does not hide the general one.
    let general = by(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
    ]);
    assert_eq!(uris(&general), ["http://c:1/"; 2]);
}

#[test]
fn the_option_stands_before_the_signals_endpoint_and_that_before_the_general_one() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:2"),
    ];
    assert_eq!(uris(&by(&variables)), ["http://traces:2/", "http://general:1/"]);
    let option = OtelOptions::default().endpoint("http://option:3");
    assert_eq!(uris(&read(&option, &variables)), ["http://option:3/"; 2]);
    let blank = OtelOptions::default().endpoint(" ");
    assert_eq!(uris(&read(&blank, &variables)), ["http://traces:2/", "http://general:1/"]);
}

#[test]
fn over_http_the_path_is_appended_to_a_general_endpoint_and_a_signals_own_is_taken_as_it_is() {
    const PROTOCOL: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let [traces, metrics] = uris(&by(&[PROTOCOL]));
    assert_eq!(traces, "http://localhost:4318/v1/traces");
    assert_eq!(metrics, "http://localhost:4318/v1/metrics");
    for (endpoint, traces) in [
        ("https://c", "https://c/v1/traces"),
        ("http://c:80/", "http://c:80/v1/traces"),
        ("http://c/otlp/", "http://c/otlp/v1/traces"),
        ("http://c/otlp?key=1", "http://c/otlp/v1/traces?key=1"),
    ] {
        assert_eq!(uris(&by(&[PROTOCOL, (ENDPOINT, endpoint)]))[0], traces);
        assert_eq!(uris(&read(&OtelOptions::default().endpoint(endpoint), &[PROTOCOL]))[0], traces);
    }
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/mine");
    assert_eq!(uris(&by(&[PROTOCOL, own]))[0], "http://c/mine");
}

#[test]
fn the_protocol_is_the_signals_then_the_general_then_by_the_port() {
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const OF_METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL";
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let (grpc, http) = (Transport::Grpc, Transport::Http);
    for (variables, traces, metrics, warnings) in [
        (vec![(PROTOCOL, "grpc")], grpc, grpc, 0),
        (vec![(PROTOCOL, "HTTP/protobuf")], http, http, 0),
        (vec![(PROTOCOL, "grpc"), (OF_METRICS, "http/protobuf")], grpc, http, 0),
        (vec![(ENDPOINT, "http://c:4318")], http, http, 0),
        (vec![(ENDPOINT, "http://c:4318"), (PROTOCOL, "grpc")], grpc, grpc, 0),
        (vec![(PROTOCOL, "http/json")], http, http, 1),
        (vec![(PROTOCOL, "carrier-pigeon")], grpc, grpc, 1),
    ] {
        let settings = by(&variables);
        let spoken = [&settings.traces, &settings.metrics].map(|it| it.as_ref().unwrap().transport);
        assert_eq!(spoken, [traces, metrics], "{variables:?}");
        assert_eq!(settings.warnings.len(), warnings, "{:?}", settings.warnings);
    }
}

#[test]
fn compression_is_gzip_or_none_and_anything_else_is_none_with_a_warning() {
    const NAME: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
    let gzip = |variables: &[(&str, &str)]| {
        let settings = by(variables);
        let [traces, metrics] =
            [&settings.traces, &settings.metrics].map(|it| it.as_ref().unwrap().gzip);
        (traces, metrics, settings.warnings.len())
    };
    assert_eq!(gzip(&[(NAME, "gzip")]), (true, true, 0));
    assert_eq!(gzip(&[(NAME, "none")]), (false, false, 0));
    assert_eq!(gzip(&[(NAME, "zstd")]), (false, false, 1));
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none");
    assert_eq!(gzip(&[(NAME, "gzip"), of_traces]), (false, true, 0));
}

#[test]
fn headers_are_decoded_and_no_message_shows_one() {
    const NAME: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let settings = by(&[(NAME, "Authorization=Basic%20c2VjcmV0, x-team = shop ")]);
    assert!(!format!("{settings:?}").contains("c2VjcmV0"), "{settings:?}");
    let headers = settings.traces.unwrap().headers;
    assert_eq!(headers["authorization"], "Basic c2VjcmV0");
    assert_eq!(headers["x-team"], "shop");

    let own = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-own=1");
    let headers = by(&[(NAME, "x-general=1"), own]).metrics.unwrap().headers;
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-own"]);

    for bad in ["c2VjcmV0", "bad name=c2VjcmV0", "a=c2VjcmV0%0Ab", "=c2VjcmV0", "a=c2VjcmV0%ff"] {
        let settings = by(&[(NAME, bad)]);
        assert!(settings.warnings[0].contains(NAME), "{bad}");
        assert!(!format!("{settings:?}").contains("c2VjcmV0"), "{settings:?}");
        assert!(settings.traces.unwrap().headers.is_empty(), "{bad}");
    }
}

#[test]
fn timeouts_and_intervals_are_milliseconds_above_zero() {
    let timeouts = |variables: &[(&str, &str)]| {
        let settings = by(variables);
        let [traces, metrics] = [&settings.traces, &settings.metrics]
            .map(|it| it.as_ref().unwrap().timeout.as_millis());
        (traces, metrics, settings.warnings.len())
    };
    const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300");
    assert_eq!(timeouts(&[(TIMEOUT, "2000"), of_traces]), (300, 2000, 0));
    assert_eq!(timeouts(&[(TIMEOUT, "0")]), (1000, 1000, 1));
    assert_eq!(timeouts(&[(TIMEOUT, "2s")]), (1000, 1000, 1));

    const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    assert_eq!(by(&[(INTERVAL, "2500")]).metric_interval, Duration::from_millis(2500));
    let option = OtelOptions::default().metric_interval(Duration::from_secs(3));
    assert_eq!(read(&option, &[(INTERVAL, "2500")]).metric_interval, Duration::from_secs(3));
    let zero = by(&[(INTERVAL, "0")]);
    assert_eq!((zero.metric_interval, zero.warnings.len()), (METRIC_INTERVAL, 1));
}

#[test]
fn a_signal_whose_exporter_is_none_goes_nowhere() {
    let goes = |traces: &str, metrics: &str| {
        let variables = [("OTEL_TRACES_EXPORTER", traces), ("OTEL_METRICS_EXPORTER", metrics)];
        let settings = by(&variables);
        (settings.traces.is_some(), settings.metrics.is_some(), settings.warnings.len())
    };
    assert_eq!(goes("otlp", "otlp"), (true, true, 0));
    assert_eq!(goes("none", "otlp"), (false, true, 0));
    assert_eq!(goes("otlp", "None"), (true, false, 0));
    assert_eq!(goes("console, otlp", "prometheus"), (true, true, 2));
}

#[test]
fn the_sdk_is_disabled_by_true_alone() {
    for (value, disabled, warnings) in [
        ("true", true, 0),
        ("TRUE", true, 0),
        ("false", false, 0),
        ("1", false, 1),
        ("yes", false, 1),
    ] {
        let settings = by(&[("OTEL_SDK_DISABLED", value)]);
        assert_eq!((settings.disabled, settings.warnings.len()), (disabled, warnings), "{value}");
    }
}

#[test]
fn samplers_are_those_of_the_specification() {
    let sampler = |name: &str, argument: &str| {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let settings = by(&variables);
        (
            format!("{:?}", settings.sampler),
            follows_parent(&settings.sampler),
            settings.warnings.len(),
        )
    };
    for (name, argument, is, follows, warnings) in [
        ("always_on", "", "AlwaysOn", false, 0),
        ("always_off", "", "AlwaysOff", false, 0),
        ("traceidratio", "0.25", "TraceIdRatioBased(0.25)", false, 0),
        ("traceidratio", "", "TraceIdRatioBased(1.0)", false, 0),
        ("traceidratio", "2", "TraceIdRatioBased(1.0)", false, 1),
        ("traceidratio", "many", "TraceIdRatioBased(1.0)", false, 1),
        ("ParentBased_Always_On", "", "ParentBased(AlwaysOn)", true, 0),
        ("parentbased_always_off", "", "ParentBased(AlwaysOff)", true, 0),
        ("parentbased_traceidratio", "0.5", "ParentBased(TraceIdRatioBased(0.5))", true, 0),
        ("xray", "endpoint=http://localhost:2000", "ParentBased(AlwaysOn)", true, 1),
    ] {
        assert_eq!(
            sampler(name, argument),
            (is.to_owned(), follows, warnings),
            "{name} {argument}"
        );
    }
}

#[test]
fn temporality_is_a_preference() {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    for (value, is, warnings) in [
        ("cumulative", Temporality::Cumulative, 0),
        ("Delta", Temporality::Delta, 0),
        ("lowmemory", Temporality::LowMemory, 0),
        ("sometimes", Temporality::Cumulative, 1),
    ] {
        let settings = by(&[(NAME, value)]);
        assert_eq!((settings.temporality, settings.warnings.len()), (is, warnings), "{value}");
    }
}

#[test]
fn lambdas_header_is_followed_unless_the_propagators_leave_it_out() {
    for (value, lambda_header, trace_context, baggage, warnings) in [
        ("tracecontext,baggage,xray", true, true, true, 0),
        ("tracecontext, xray-lambda", true, true, false, 0),
        ("tracecontext", false, true, false, 0),
        ("none", false, false, false, 0),
        ("b3,tracecontext,jaeger", false, true, false, 2),
    ] {
        let settings = by(&[("OTEL_PROPAGATORS", value)]);
        let is = Propagators { lambda_header, trace_context, baggage };
        assert_eq!((settings.propagators, settings.warnings.len()), (is, warnings), "{value}");
    }
}

#[test]
fn an_endpoint_that_is_no_address_is_an_error_in_an_option_and_a_warning_in_a_variable() {
    const NAME: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    for bad in ["ftp://c:1", "http://", "http://[", "unix:///run/c", "http://user:secret@:4317"] {
        let error = try_read(&OtelOptions::default().endpoint(bad), &[]).unwrap_err();
        assert!(error.to_string().contains("OtelOptions::endpoint"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        let settings = by(&[(NAME, bad)]);
        assert!(settings.traces.is_none() && settings.metrics.is_some(), "{bad}");
        let warnings = &settings.warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(NAME), "{warnings:?}");
        assert!(!warnings[0].contains("secret"), "{warnings:?}");
    }
}

#[test]
fn a_grpc_endpoint_without_a_scheme_has_tls_unless_it_is_insecure_or_loopback() {
    let scheme = |endpoint: &str, insecure: &str| {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_INSECURE", insecure)];
        by(&variables).traces.unwrap().uri.scheme_str().unwrap().to_owned()
    };
    assert_eq!(scheme("collector:4317", ""), "https");
    assert_eq!(scheme("collector:4317", "true"), "http");
    assert_eq!(scheme("localhost:4317", ""), "http");
    assert_eq!(scheme("localhost:4317", "false"), "https");
    assert_eq!(scheme("http://collector:4317", "false"), "http");
}

#[test]
fn variables_of_other_exporters_are_named_and_their_values_are_not() {
    let settings = by(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/secret/key.pem")]);
    assert_eq!(settings.warnings, ["OTEL_EXPORTER_OTLP_CLIENT_KEY is not supported"]);
}
