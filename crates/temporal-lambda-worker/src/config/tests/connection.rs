//! The connection's settings: empty variables, addresses and credentials.

use super::*;

/// A server on another machine.
const ELSEWHERE: &str = "temporal.internal:7233";

pub(super) fn settled(place: &Place) -> LambdaWorkerConfig {
    let mut config = registered(place);
    config.settle().unwrap();
    config
}

fn uses_tls(config: &LambdaWorkerConfig) -> bool {
    let options = &config.connection_options;
    assert_eq!(options.target.scheme() == "https", options.tls_options.is_some());
    options.tls_options.is_some()
}

#[tokio::test]
async fn every_empty_or_blank_variable_counts_as_not_set() {
    let file = format!(
        "[profile.default]\naddress = \"{ELSEWHERE}\"\nnamespace = \"n\"\napi_key = \"{SECRET}\"\n\
         [lambda_worker]\ntask_queue = \"q\"\nidle_timeout = \"3s\"\n"
    );
    let expected = Place::with(&file).load().unwrap();
    for blank in ["", " ", "\t\n"] {
        let mut place = Place::with(&file);
        for name in [
            "ADDRESS",
            "NAMESPACE",
            "API_KEY",
            "PROFILE",
            "CONFIG_FILE",
            "TASK_QUEUE",
            "TLS",
            "TLS_CLIENT_CERT_PATH",
            "TLS_CLIENT_CERT_DATA",
            "TLS_CLIENT_KEY_PATH",
            "TLS_CLIENT_KEY_DATA",
            "TLS_SERVER_CA_CERT_PATH",
            "TLS_SERVER_CA_CERT_DATA",
            "TLS_SERVER_NAME",
            "TLS_DISABLE_HOST_VERIFICATION",
            "CODEC_ENDPOINT",
            "CODEC_AUTH",
        ] {
            place = place.set(&format!("TEMPORAL_{name}"), blank);
        }
        for key in KEYS {
            place = place.set(&format!("TEMPORAL_LAMBDA_{}", key.to_ascii_uppercase()), blank);
        }
        let config = place.load().unwrap();
        let (left, right) = (&config.connection_options, &expected.connection_options);
        assert_eq!(left.target, right.target);
        assert_eq!(left.api_key, right.api_key);
        assert_eq!(uses_tls(&config), uses_tls(&expected));
        assert_eq!(config.client_options.namespace, "n");
        assert_eq!(config.worker_options.task_queue, "q");
        assert_eq!(config.idle_timeout, expected.idle_timeout);
        assert_eq!(config.warnings.texts(), expected.warnings.texts());
    }
    // Without anything else they leave the defaults, and no TLS.
    let config =
        Place::empty().set("TEMPORAL_TLS", "").set("TEMPORAL_ADDRESS", " ").load().unwrap();
    assert_eq!(config.connection_options.target.as_str(), "http://localhost:7233/");
    assert!(!uses_tls(&config));
}

#[tokio::test]
async fn empty_text_in_a_profile_counts_as_not_set() {
    let file = "[profile.default]\naddress = \"\"\nnamespace = \" \"\napi_key = \"\"\n\
                [profile.default.codec]\nendpoint = \"\"\n";
    let config = Place::with(file).load().unwrap();
    assert_eq!(config.connection_options.target.as_str(), "http://localhost:7233/");
    assert_eq!(config.client_options.namespace, "default");
    assert_eq!(config.connection_options.api_key, None);
    assert_eq!(config.codec_endpoint, None);
}

#[tokio::test]
async fn an_empty_header_variable_takes_the_header_of_the_profile_away() {
    let place = Place::with("[profile.default.grpc_meta]\nx-one = \"1\"\nx-two = \"2\"\n")
        .set("TEMPORAL_GRPC_META_X_ONE", "");
    let headers = place.load().unwrap().connection_options.headers.unwrap();
    assert_eq!(headers.into_iter().collect::<Vec<_>>(), [("x-two".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn temporals_boolean_variables_are_checked() {
    for name in ["TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"] {
        for value in ["no", "yes", "on", "disabled"] {
            let message = Place::empty().set(name, value).refused();
            for part in [name, value, "true or false"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
    assert!(uses_tls(&Place::empty().set("TEMPORAL_TLS", " TRUE\n").load().unwrap()));
    assert!(!uses_tls(&Place::empty().set("TEMPORAL_TLS", "0").load().unwrap()));
}

#[tokio::test]
async fn a_blank_task_queue_deployment_name_or_build_id_counts_as_not_set() {
    let place = Place::with("[lambda_worker]\ntask_queue = \"file\"\n")
        .set("TEMPORAL_TASK_QUEUE", "  ")
        .set("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", " ")
        .set("TEMPORAL_LAMBDA_BUILD_ID", "\t");
    let config = settled(&place);
    assert_eq!(config.worker_options.task_queue, "file");
    let version = &config.worker_options.deployment_options.version;
    assert_eq!((version.deployment_name.as_str(), version.build_id.as_str()), ("d", "b"));

    let mut config = registered(&place);
    config.worker_options.task_queue = "  ".to_owned();
    assert!(matches!(config.settle(), Err(ConfigError::NoTaskQueue)));
    let mut config = registered(&place);
    config.worker_options.deployment_options.version.build_id = " ".to_owned();
    assert!(matches!(config.settle(), Err(ConfigError::IncompleteVersion { .. })));
    let mut config = registered(&place);
    config.worker_options.task_queue = " q\n".to_owned();
    config.settle().unwrap();
    assert_eq!(config.worker_options.task_queue, "q");
}

#[tokio::test]
async fn an_api_key_turns_tls_on_however_it_is_set_unless_a_setting_turns_it_off() {
    let with_key = |address: &str| {
        Place::empty()
            .set("TEMPORAL_TASK_QUEUE", "q")
            .set("TEMPORAL_ADDRESS", address)
            .set("TEMPORAL_API_KEY", SECRET)
    };
    assert!(uses_tls(&settled(&with_key(ELSEWHERE))));
    let config = settled(&with_key(&format!("http://{ELSEWHERE}")));
    assert!(uses_tls(&config));
    assert!(config.warnings.texts()[0].contains("http://"), "{:?}", config.warnings.texts());
    let config = settled(&with_key("http://localhost:7233"));
    assert!(!uses_tls(&config));
    assert_eq!(config.warnings.texts(), [""; 0]);

    let config = settled(&with_key(ELSEWHERE).set("TEMPORAL_TLS", "false"));
    assert!(!uses_tls(&config));
    assert!(config.warnings.texts()[0].contains("clear text"), "{:?}", config.warnings.texts());
    let file = format!("[profile.default]\naddress = \"{ELSEWHERE}\"\napi_key = \"{SECRET}\"\n");
    let place = Place::with(&format!("{file}[profile.default.tls]\ndisabled = true\n"));
    let config = settled(&place.set("TEMPORAL_TASK_QUEUE", "q"));
    assert!(!uses_tls(&config));
    assert!(config.warnings.texts()[0].contains("clear text"), "{:?}", config.warnings.texts());
}

#[tokio::test]
async fn an_api_key_that_configure_sets_turns_tls_on_and_is_checked() {
    let place = Place::empty().set("TEMPORAL_TASK_QUEUE", "q").set("TEMPORAL_ADDRESS", ELSEWHERE);
    let set = |key: &str| {
        let mut config = registered(&place);
        assert!(!uses_tls(&config));
        config.connection_options.api_key = Some(key.to_owned());
        config
    };
    let mut config = set(SECRET);
    config.settle().unwrap();
    assert!(uses_tls(&config));

    let mut config = set(SECRET);
    config.clear_text_credentials = true;
    config.settle().unwrap();
    assert!(!uses_tls(&config));
    assert_eq!(config.warnings.texts().len(), 1);

    let error = set(&format!("{SECRET}\n")).settle().unwrap_err();
    assert!(matches!(error, ConfigError::BadApiKey { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET));

    let mut config = set(&format!("Bearer {SECRET}"));
    config.settle().unwrap();
    assert_eq!(config.connection_options.api_key.as_deref(), Some(SECRET));
}

#[tokio::test]
async fn https_and_tls_settings_turn_tls_on_and_a_contradiction_is_refused() {
    let https = format!("https://{ELSEWHERE}");
    let place = Place::empty().set("TEMPORAL_ADDRESS", &https);
    assert!(uses_tls(&place.load().unwrap()));
    let message = place.set("TEMPORAL_TLS", "false").refused();
    assert!(message.contains("TEMPORAL_TLS") && message.contains(&https), "{message}");

    let http = format!("http://{ELSEWHERE}");
    let config = Place::empty().set("TEMPORAL_ADDRESS", &http).set("TEMPORAL_TLS", "true").load();
    assert!(uses_tls(&config.unwrap()), "the client would send plain text to http://");
}

#[tokio::test]
async fn a_remote_codec_is_refused_with_its_setting_unless_configure_takes_it_out() {
    let endpoint = "http://localhost:8081";
    let in_file = format!("[profile.default.codec]\nendpoint = \"{endpoint}\"\n");
    for (place, setting) in [
        (Place::empty().set("TEMPORAL_CODEC_ENDPOINT", endpoint), "TEMPORAL_CODEC_ENDPOINT"),
        (Place::with(&in_file), "profile.default.codec.endpoint"),
    ] {
        let place = place.set("TEMPORAL_TASK_QUEUE", "q");
        let error = registered(&place).settle().unwrap_err().to_string();
        assert!(error.contains(setting), "{error}");
        let mut config = registered(&place);
        assert_eq!(config.codec_endpoint.take().as_deref(), Some(endpoint));
        config.settle().unwrap();
    }
}

#[tokio::test]
async fn a_version_that_configure_changes_is_warned_about() {
    let mut config = registered(&Place::empty().set("TEMPORAL_TASK_QUEUE", "q"));
    config.worker_options.deployment_options.version.build_id = "c".to_owned();
    config.settle().unwrap();
    let text = &config.warnings.texts()[0];
    assert!(text.contains("d/b") && text.contains("d/c"), "{text}");
}
