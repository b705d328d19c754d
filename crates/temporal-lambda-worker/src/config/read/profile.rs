//! The connection's settings: one profile of the file and the `TEMPORAL_*` variables, read by the
//! SDK's own loader. Settings that the loader would ignore in silence are checked here first.

use http::uri::Authority;
use temporalio_client::envconfig::{
    ClientConfigProfile, ConfigError as SdkError, DataSource, LoadClientConfigProfileOptions,
};
use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_common::envconfig::load_client_config_profile;

use super::address;
use super::file::File;
use super::nearest::nearest;
use super::tls::{self, Setting};
use super::variables::Variables;
use crate::config::warnings::Warnings;
use crate::error::ConfigError;

const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_PROFILE: &str = "default";

/// The connection's settings, from a profile and the variables.
pub(crate) struct Profile {
    pub(crate) connection_options: ConnectionOptions,
    pub(crate) client_options: ClientOptions,
    /// The setting that explicitly turns TLS off, if one does.
    pub(crate) tls_off: Option<String>,
    /// The endpoint of a remote codec and the setting that names it, if one does.
    pub(crate) codec: Option<Codec>,
    /// The `:authority` of every call.
    pub(crate) authority: Option<String>,
}

impl Profile {
    /// Options that the code gives as a whole. The API key is used where they have none.
    pub(in crate::config) fn of(
        (mut connection_options, client_options): (ConnectionOptions, ClientOptions),
        api_key: Option<String>,
    ) -> Self {
        if connection_options.api_key.is_none() {
            connection_options.api_key = api_key;
        }
        Self { connection_options, client_options, tls_off: None, codec: None, authority: None }
    }
}

/// A remote codec.
pub(crate) struct Codec {
    pub(crate) endpoint: String,
    pub(crate) setting: String,
}

/// Connection and client options from the profile and the `TEMPORAL_*` variables, with `api_key`
/// in the place of theirs if there is one.
pub(crate) fn load(
    file: &File,
    variables: &Variables,
    api_key: Option<String>,
    warnings: &mut Warnings,
) -> Result<Profile, ConfigError> {
    let table = Table::find(file, variables)?;
    let environment = variables.for_the_sdk()?;
    let options = LoadClientConfigProfileOptions::builder()
        // Always bytes, so that the SDK never looks for a file of its own.
        .config_source(DataSource::Data(table.alone().into_bytes()))
        .config_file_profile(DEFAULT_PROFILE.to_owned())
        .build();
    let mut profile = load_client_config_profile(options, Some(&environment)).map_err(refused)?;
    profile.api_key = api_key.or(profile.api_key);
    let setting = |variable: &str, key: &str| table.setting(&environment, variable, key);
    if let Some(address) = &mut profile.address {
        let setting = setting("TEMPORAL_ADDRESS", "address");
        *address = address::normal(address, &setting.name, warnings)?;
    }
    let tls_off = tls_off(&profile).then(|| setting("TEMPORAL_TLS", "tls.disabled").name);
    let codec = profile.codec.as_ref().and_then(|codec| codec.endpoint.clone());
    let codec = codec.map(|endpoint| {
        let setting = setting("TEMPORAL_CODEC_ENDPOINT", "codec.endpoint").name;
        Codec { endpoint, setting }
    });
    // The loader turns TLS on for any key, but leaves the address as it is.
    let says_http = profile.address.as_ref().is_some_and(|it| it.starts_with("http://"));
    let wants_tls = profile.tls.is_some() && tls_off.is_none();
    let skips_verification = profile.tls.as_ref().is_some_and(|tls| tls.disable_host_verification);
    if let Some(tls) = &mut profile.tls {
        let material = |source: &DataSource, variable: &str, key: &str| match source {
            DataSource::Path(_) => setting(&format!("{variable}_PATH"), &format!("{key}_path")),
            _ => setting(&format!("{variable}_DATA"), &format!("{key}_data")),
        };
        // While TLS is off, no certificate is read.
        if tls_off.is_none() {
            tls::read(tls, &material)?;
        }
    }
    let namespace = profile.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let mut connection_options = ConnectionOptions::try_from(profile).map_err(refused)?;
    if says_http && connection_options.tls_options.is_some() {
        if !wants_tls && address::is_loopback(connection_options.target.host_str()) {
            connection_options.tls_options = None;
        } else {
            let setting = setting("TEMPORAL_ADDRESS", "address").name;
            warnings.add(format!(
                "{setting} begins with http://, but an API key or the TLS settings ask for TLS, which \
                 is used. If the server has none, say so with TEMPORAL_TLS=false"
            ));
        }
    }
    if let Some(tls) = connection_options.tls_options.as_mut().filter(|_| skips_verification) {
        let setting =
            setting("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "tls.disable_host_verification");
        tls::accept_any_server(tls);
        warnings.add(format!(
            "{} is on: whoever answers at the server's address is believed to be the server, and is \
             shown all data and credentials. Trust its certificate instead, with \
             TEMPORAL_TLS_SERVER_CA_CERT_PATH or TEMPORAL_TLS_SERVER_NAME",
            setting.name
        ));
    }
    let client_options = ClientOptions::new(namespace).build();
    let authority = table.authority;
    Ok(Profile { connection_options, client_options, tls_off, codec, authority })
}

fn tls_off(profile: &ClientConfigProfile) -> bool {
    profile.tls.as_ref().is_some_and(|tls| tls.disabled == Some(true))
}

/// The table of the profile that is used; empty if there is none.
struct Table<'a> {
    file: &'a File,
    name: &'a str,
    values: toml::Table,
    authority: Option<String>,
}

/// The keys that a profile may have. `authority` is read by other SDKs, but not by the loader of this one.
const KEYS: &[&str] =
    &["address", "namespace", "api_key", "authority", "tls", "codec", "grpc_meta"];
const TLS_KEYS: &[&str] = &[
    "disabled",
    "client_cert_path",
    "client_cert_data",
    "client_key_path",
    "client_key_data",
    "server_ca_cert_path",
    "server_ca_cert_data",
    "server_name",
    "disable_host_verification",
];
const CODEC_KEYS: &[&str] = &["endpoint", "auth"];

impl<'a> Table<'a> {
    fn find(file: &'a File, variables: &'a Variables) -> Result<Self, ConfigError> {
        // The default profile need not exist, even if the variable names it.
        let named = variables.get("TEMPORAL_PROFILE")?.filter(|name| *name != DEFAULT_PROFILE);
        let name = named.unwrap_or(DEFAULT_PROFILE);
        let mut table = Self { file, name, values: toml::Table::new(), authority: None };
        match (file.profiles.get(name), named) {
            (Some(toml::Value::Table(values)), _) => table.values = table.checked(values)?,
            (Some(_), _) => {
                return Err(table.bad("", "a table, with a key on each line below it"));
            }
            (None, None) => {}
            (None, Some(name)) => {
                return Err(match &file.path {
                    None => ConfigError::NoFileForProfile {
                        profile: name.to_owned(),
                        looked_at: file.looked_at.clone(),
                    },
                    Some(path) => ConfigError::UnknownProfile {
                        profile: name.to_owned(),
                        path: path.clone(),
                        profiles: file.profiles.keys().cloned().collect(),
                    },
                });
            }
        }
        if let Some(authority) = table.values.remove("authority") {
            let authority = authority.as_str().map(str::to_owned).unwrap_or_default();
            let is_one = authority.parse::<Authority>().is_ok() && !authority.contains('@');
            if !is_one {
                let expected = "a host, or host:port, which every call names as its :authority";
                return Err(table.bad("authority", expected));
            }
            table.authority = Some(authority);
        }
        Ok(table)
    }

    /// The profile, once every key and the type of every value are checked. Empty text counts as not set and is
    /// left out.
    fn checked(&self, values: &toml::Table) -> Result<toml::Table, ConfigError> {
        let mut checked = toml::Table::new();
        for (key, value) in values {
            let known = self.known("", key, KEYS)?;
            let value = match known {
                "tls" => self.inner(known, value, Some(TLS_KEYS))?,
                "codec" => self.inner(known, value, Some(CODEC_KEYS))?,
                "grpc_meta" => self.inner(known, value, None)?,
                _ => self.leaf(known, value)?,
            };
            checked.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(checked)
    }

    fn inner(
        &self,
        table: &str,
        value: &toml::Value,
        keys: Option<&'static [&'static str]>,
    ) -> Result<Option<toml::Value>, ConfigError> {
        let toml::Value::Table(values) = value else {
            let expected = format!("a table: [profile.{}.{table}]", self.name);
            return Err(self.bad(table, &expected));
        };
        let mut checked = toml::Table::new();
        for (key, value) in values {
            if let Some(keys) = keys {
                self.known(table, key, keys)?;
            }
            let value = self.leaf(&format!("{table}.{key}"), value)?;
            checked.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(Some(toml::Value::Table(checked)))
    }

    fn leaf(&self, key: &str, value: &toml::Value) -> Result<Option<toml::Value>, ConfigError> {
        if matches!(key, "tls.disabled" | "tls.disable_host_verification") {
            let value = value.as_bool().ok_or_else(|| self.bad(key, "true or false"))?;
            return Ok(Some(value.into()));
        }
        let text = value.as_str().ok_or_else(|| self.bad(key, "text in quotes"))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let is_verbatim = key == "api_key" || key.ends_with("_data") || key.contains("grpc_meta");
        Ok(Some(if is_verbatim { text } else { text.trim() }.into()))
    }

    fn known(
        &self,
        table: &str,
        key: &str,
        keys: &'static [&'static str],
    ) -> Result<&'static str, ConfigError> {
        keys.iter().copied().find(|known| *known == key).ok_or_else(|| ConfigError::UnknownKey {
            path: self.file.path.clone().unwrap_or_default(),
            table: self.full(table),
            key: key.to_owned(),
            nearest: nearest(key, keys).map(str::to_owned),
        })
    }

    fn bad(&self, key: &str, expected: &str) -> ConfigError {
        let path = self.file.path.clone().unwrap_or_default();
        ConfigError::bad_key(&path, &self.full(key), expected)
    }

    fn full(&self, key: &str) -> String {
        let name = self.name;
        if key.is_empty() { format!("profile.{name}") } else { format!("profile.{name}.{key}") }
    }

    /// This profile as the only one, as TOML.
    fn alone(&self) -> String {
        let profiles = toml::Table::from_iter([(
            DEFAULT_PROFILE.to_owned(),
            toml::Value::Table(self.values.clone()),
        )]);
        toml::Table::from_iter([("profile".to_owned(), toml::Value::Table(profiles))]).to_string()
    }

    /// Which setting says something: the variable if it is set, else the key in the file.
    fn setting(
        &self,
        environment: &std::collections::HashMap<String, String>,
        variable: &str,
        key: &str,
    ) -> Setting {
        let name = match &self.file.path {
            Some(path) if !environment.contains_key(variable) => {
                format!("{} in {path:?}", self.full(key))
            }
            _ => variable.to_owned(),
        };
        Setting { name }
    }
}

/// The loader's refusal of settings that exclude each other. Its message names them, and shows no value.
fn refused(error: SdkError) -> ConfigError {
    let reason = match error {
        SdkError::InvalidConfig(message) => message,
        // The text may quote a value.
        _ => "the SDK's loader cannot use the profile or a TEMPORAL_* variable".to_owned(),
    };
    ConfigError::Profile { reason }
}
