//! The configuration file: which one is read, and which of its tables are not this crate's.

use super::*;

#[tokio::test]
async fn a_table_of_another_program_is_ignored_and_a_misspelled_one_is_warned_about() {
    for table in ["pool", "project", "prod", "lambda", "lambda_s3", "provider", "process", "worker"]
    {
        let config = Place::with(&format!("[{table}]\nx = 1\n")).load().unwrap();
        assert_eq!(config.warnings.texts(), [""; 0], "{table}");
    }
    for (table, meant) in [
        ("lambda_wroker", "[lambda_worker]"),
        ("lambda_workers", "[lambda_worker]"),
        ("lambda-worker", "[lambda_worker]"),
        ("profiles.default", "[profile.<name>]"),
    ] {
        let config = Place::with(&format!("[{table}]\nx = 1\n")).load().unwrap();
        let [warning] = config.warnings.texts() else { panic!("{table}") };
        assert!(warning.contains(meant) && warning.contains(FILE_NAME), "{warning}");
    }
}

#[tokio::test]
async fn only_the_profile_that_is_used_is_checked() {
    let file = "[profile.default]\nnamespace = \"n\"\n\
                [profile.cloud]\naddress = 5\n[profile.cloud.oauth]\nclient_id = \"x\"\n";
    assert_eq!(Place::with(file).load().unwrap().client_options.namespace, "n");
    let message = Place::with(file).set("TEMPORAL_PROFILE", "cloud").refused();
    assert!(message.contains("[profile.cloud]"), "{message}");
}

#[tokio::test]
async fn a_key_of_the_profile_that_is_unknown_or_of_another_kind_is_named_with_its_place() {
    for (text, parts) in [
        ("oauth = { id = \"x\" }", ["oauth", "[profile.default]"]),
        ("tls = true", ["[profile.default.tls]", "a table"]),
        (
            "tls = { disabled = \"yes\" }",
            ["\"disabled\" in [profile.default.tls]", "true or false"],
        ),
        ("tls = { server_nam = \"x\" }", ["[profile.default.tls]", "did you mean server_name?"]),
        ("address = 5", ["\"address\" in [profile.default]", "text"]),
        ("grpc_meta = { x = 5 }", ["\"x\" in [profile.default.grpc_meta]", "text"]),
        ("authority = \"a b\"", ["\"authority\" in [profile.default]", "host"]),
    ] {
        let message = Place::with(&format!("[profile.default]\n{text}\n")).refused();
        for part in parts.into_iter().chain([FILE_NAME]) {
            assert!(message.contains(part), "{text}: {part} is not in {message}");
        }
        assert!(!message.contains("struct"), "{message}");
    }
    let message = Place::with("profile = 5\n").refused();
    assert!(message.contains("[profile]"), "{message}");
    let message = Place::with("[profile]\ndefault = 5\n").refused();
    assert!(message.contains("\"default\" in [profile]"), "{message}");
}

#[tokio::test]
async fn the_authority_of_a_profile_becomes_the_authority_of_every_call() {
    let file = "[profile.default]\naddress = \"localhost:7233\"\nauthority = \"temporal.test\"\n";
    let config = Place::with(file).load().unwrap();
    let origin = config.connection_options.override_origin.unwrap();
    assert_eq!(origin.to_string(), "http://temporal.test/");
    let config = Place::with(file).set("TEMPORAL_TLS", "true").load().unwrap();
    let origin = config.connection_options.override_origin.unwrap();
    assert_eq!(origin.to_string(), "https://temporal.test/");
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_an_error_that_says_where_it_was_looked_for() {
    let place = Place::empty().set("TEMPORAL_PROFILE", "production");
    let message = place.refused();
    let root = place.folder.path().join(FILE_NAME);
    for part in ["TEMPORAL_PROFILE", "production", root.to_str().unwrap(), "./temporal.toml"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(Place::empty().set("TEMPORAL_PROFILE", "default").load().is_ok());
    let place = Place::with("[profile.staging]\n[profile.default]\n");
    let message = place.set("TEMPORAL_PROFILE", "production").refused();
    for part in ["production", "staging", "default", "TEMPORAL_PROFILE"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[tokio::test]
async fn a_task_root_that_is_a_file_holds_no_configuration_file() {
    let place = Place::with("not a folder");
    let file = place.folder.path().join(FILE_NAME);
    let place = place.set("LAMBDA_TASK_ROOT", file.to_str().unwrap());
    assert!(place.load().is_ok());
}

#[tokio::test]
async fn a_configuration_file_that_cannot_be_read_is_named_with_its_variable() {
    let place = Place::empty();
    let folder = place.folder.path().to_str().unwrap().to_owned();
    let message = place.set("TEMPORAL_CONFIG_FILE", &folder).refused();
    assert!(message.contains("TEMPORAL_CONFIG_FILE") && message.contains(&folder), "{message}");
}

#[tokio::test]
async fn a_byte_order_mark_before_the_text_is_ignored() {
    let config = Place::with("\u{feff}[lambda_worker]\ntask_queue = \"q\"\n").load().unwrap();
    assert_eq!(config.worker_options.task_queue, "q");
}

#[tokio::test]
async fn emf_without_the_feature_emf_is_warned_about() {
    for (figures, warnings) in [(None, 1), (Some((|_| ()) as fn(&_)), 0)] {
        let mut config = Place::empty().set("TEMPORAL_LAMBDA_EMF", "true").load().unwrap();
        config.begin_telemetry(Telemetry::new(figures));
        let texts = config.warnings.texts();
        assert_eq!(texts.len(), warnings, "{texts:?}");
        assert!(texts.iter().all(|it| it.contains("feature")), "{texts:?}");
    }
}
