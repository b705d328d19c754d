use opentelemetry::{Key, KeyValue};

use super::{by, read};
use crate::telemetry::otel::options::OtelOptions;
use crate::telemetry::otel::settings::Settings;

fn service(settings: &Settings) -> String {
    settings.resource.get(&Key::new("service.name")).unwrap().to_string()
}

#[test]
fn the_services_name_is_the_options_then_the_variables_then_the_functions() {
    const NAME: (&str, &str) = ("OTEL_SERVICE_NAME", "by-name");
    const ATTRIBUTES: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=by-attribute");
    const FUNCTION: (&str, &str) = ("AWS_LAMBDA_FUNCTION_NAME", "function");
    assert_eq!(service(&by(&[])), "temporal-lambda-worker");
    assert_eq!(service(&by(&[FUNCTION])), "function");
    assert_eq!(service(&by(&[FUNCTION, ATTRIBUTES])), "by-attribute");
    assert_eq!(service(&by(&[FUNCTION, ATTRIBUTES, NAME])), "by-name");
    let attribute = OtelOptions::default()
        .resource_attribute(KeyValue::new("service.name", "by-option-attribute"));
    assert_eq!(service(&read(&attribute, &[FUNCTION, ATTRIBUTES, NAME])), "by-option-attribute");
    let option = attribute.service_name("by-option");
    assert_eq!(service(&read(&option, &[FUNCTION, ATTRIBUTES, NAME])), "by-option");
    assert_eq!(service(&read(&OtelOptions::default().service_name(" "), &[NAME])), "by-name");
}

#[test]
fn resource_attributes_win_over_what_lambda_says_and_options_over_both() {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let lambda = [("AWS_REGION", "eu-west-1"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")];
    let text = "cloud.region=here, deployment.environment.name=a%2Cb%20c,team=x";
    let option = OtelOptions::default().resource_attribute(KeyValue::new("team", "y"));
    let settings = read(&option, &[lambda[0], lambda[1], (NAME, text)]);
    let get = |key: &'static str| settings.resource.get(&Key::new(key)).unwrap().to_string();
    assert_eq!(get("cloud.region"), "here");
    assert_eq!(get("deployment.environment.name"), "a,b c");
    assert_eq!(get("team"), "y");
    assert_eq!(get("faas.max_memory"), "268435456");
    assert_eq!(get("telemetry.sdk.language"), "rust");
    assert!(settings.warnings.is_empty());

    let bad = by(&[(NAME, "service.name=orders,nonsense")]);
    assert_eq!((service(&bad).as_str(), bad.warnings.len()), ("temporal-lambda-worker", 1));
}
