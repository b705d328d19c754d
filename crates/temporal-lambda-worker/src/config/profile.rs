//! The SDK's part of the configuration, by the SDK's own loader.

use temporalio_client::envconfig::{
    ClientConfigProfile, ConfigError as SdkError, DataSource, LoadClientConfigProfileOptions,
};
use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_common::envconfig::load_client_config_profile;

use super::error::ConfigError;
use super::source::{Environment, File};

const DEFAULT_NAMESPACE: &str = "default";

/// Connection and client options from the profile and the `TEMPORAL_*` variables, with `api_key`
/// in the place of theirs if there is one.
pub(crate) fn load(
    file: &File,
    environment: &Environment,
    api_key: Option<String>,
) -> Result<(ConnectionOptions, ClientOptions), ConfigError> {
    let options = LoadClientConfigProfileOptions::builder()
        // Always bytes, so that the SDK never looks for a file of its own.
        .config_source(DataSource::Data(file.profiles.clone().into_bytes()))
        .config_file_strict(true)
        .build();
    let mut profile = load_client_config_profile(options, Some(environment.variables()))
        .map_err(|error| refused(error, file))?;
    // An empty variable is as good as none, here as elsewhere.
    profile.api_key = api_key.or(profile.api_key).filter(|key| !key.is_empty());
    check_api_key(&profile)?;
    let namespace = profile.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let connection = ConnectionOptions::try_from(profile).map_err(|error| refused(error, file))?;
    Ok((connection, ClientOptions::new(namespace).build()))
}

/// A key with a line break in it (read from a file with a careless `cat`) makes no valid header;
/// the SDK would leave the header out, and the server would complain about a missing key.
fn check_api_key(profile: &ClientConfigProfile) -> Result<(), ConfigError> {
    match &profile.api_key {
        Some(key) if !is_header_value(key) => Err(ConfigError::Profile {
            reason: "the API key has characters that cannot stand in a header (a line break at \
                     its end?): set TEMPORAL_API_KEY or api_key again"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether an API key can be sent.
pub(crate) fn is_header_value(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Says what the loader said, unless it quotes the file or a value.
fn refused(error: SdkError, file: &File) -> ConfigError {
    let place = match &file.path {
        Some(path) => format!("{path:?}"),
        None => "the TEMPORAL_* environment variables".to_owned(),
    };
    let reason = match error {
        SdkError::ProfileNotFound(name) => {
            format!("profile {name:?} is not in {place}: correct TEMPORAL_PROFILE")
        }
        SdkError::InvalidConfig(message) => message,
        SdkError::LoadError(source) => match source.downcast::<toml::de::Error>() {
            Ok(error) => format!("{place}: {}", without_values(error.message())),
            Err(source) => match source.downcast::<std::io::Error>() {
                Ok(error) => format!("a file named in {place} cannot be read: {error}"),
                Err(_) => format!("{place} cannot be used"),
            },
        },
    };
    ConfigError::Profile { reason }
}

/// A parser's message, cut where it would quote a value.
fn without_values(message: &str) -> String {
    if message.starts_with("unknown field") {
        return message.to_owned();
    }
    match message.rsplit_once("expected ") {
        Some((_, expected)) => format!("a value has the wrong type, expected {expected}"),
        None => "a value is not understood".to_owned(),
    }
}
