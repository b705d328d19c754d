//! Credentials: none is sent to another machine without TLS unless a setting says so, and none is shown in a
//! message.

use temporalio_client::{ConnectionOptions, TlsOptions};

use super::read::address::is_loopback;
use super::warnings::Warnings;
use crate::error::{ConfigError, is_secret};

const BEARER: &str = "Bearer ";

/// Makes the connection safe for what is sent over it: `https://`, certificates and credentials mean
/// TLS. `tls_off` is the setting that turns TLS off, `clear_text` whether a credential may be sent
/// without TLS to another machine.
pub(super) fn secure(
    options: &mut ConnectionOptions,
    tls_off: Option<&str>,
    clear_text: bool,
    warnings: &mut Warnings,
) -> Result<(), ConfigError> {
    settle_key(options, warnings)?;
    if options.service_override.is_some() {
        // The calls go through the user's service, not through a connection of this crate.
        return Ok(());
    }
    if options.tls_options.is_none() {
        if options.target.scheme() == "https" {
            if let Some(setting) = tls_off {
                return Err(ConfigError::ContradictoryTls {
                    address: options.target.to_string(),
                    setting: setting.to_owned(),
                });
            }
            options.tls_options = Some(TlsOptions::default());
        } else if has_credential(options) && !is_loopback(options.target.host_str()) {
            if clear_text {
                warnings.add(format!(
                    "credentials are sent to {} in clear text, since TLS is turned off: everybody on \
                     the way can read and use them",
                    options.target
                ));
            } else {
                options.tls_options = Some(TlsOptions::default());
            }
        }
    }
    // With http:// the SDK's client would send plain text, whatever the TLS options say.
    if options.tls_options.is_some() && options.target.scheme() == "http" {
        // `set_scheme` fails only for schemes other than http and https.
        let _ = options.target.set_scheme("https");
    }
    Ok(())
}

/// An API key as it is sent: without `Bearer`, which the SDK puts before it.
fn settle_key(options: &mut ConnectionOptions, warnings: &mut Warnings) -> Result<(), ConfigError> {
    let Some(key) = options.api_key.take().filter(|key| !key.trim().is_empty()) else {
        return Ok(());
    };
    let key = match key.split_at_checked(BEARER.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(BEARER) => {
            warnings.add(
                "the API key begins with \"Bearer\", which the SDK adds by itself: it is left out \
                 here, and should be in the setting",
            );
            rest.trim_start().to_owned()
        }
        _ => key,
    };
    if !is_header_value(&key) {
        let setting = "TEMPORAL_API_KEY, api_key or config.connection_options.api_key".to_owned();
        return Err(ConfigError::BadApiKey { setting });
    }
    options.api_key = Some(key);
    Ok(())
}

fn has_credential(options: &ConnectionOptions) -> bool {
    let mut names = options.headers.iter().flatten().map(|(name, _)| name);
    options.api_key.is_some() || names.any(|name| is_secret_header(name))
}

/// Whether an API key can be sent as a header. The SDK would leave one out that cannot, and the server would
/// report a missing key.
pub(super) fn is_header_value(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// The length of the shortest header value that is concealed: a shorter one occurs in ordinary words.
const SHORTEST_SECRET: usize = 6;

/// A server's message without the credentials that were sent to it: the server may quote the key or header that
/// it refuses.
pub(crate) fn conceal(text: String, options: &ConnectionOptions) -> String {
    let key = options.api_key.iter().map(|key| (key.as_str(), "[API key]".to_owned()));
    let headers = options.headers.iter().flatten().filter(|(name, _)| is_secret_header(name));
    let headers = headers.flat_map(|(name, value)| {
        // A server quotes all of `Bearer <token>`, or the token.
        let token = value.split_once(' ').map(|(_, token)| token.trim());
        let values = [Some(value.as_str()), token].into_iter().flatten();
        values.map(move |value| (value, format!("[header {name}]")))
    });
    let binary = options.binary_headers.iter().flatten();
    let binary = binary.filter_map(|(name, value)| {
        Some((std::str::from_utf8(value).ok()?, format!("[header {name}]")))
    });
    let mut secrets: Vec<_> = key.filter(|(key, _)| !key.is_empty()).collect();
    secrets.extend(headers.chain(binary).filter(|(value, _)| value.len() >= SHORTEST_SECRET));
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text, |text, (secret, name)| text.replace(secret, &name))
}

fn is_secret_header(name: &str) -> bool {
    let name = name.replace('-', "_");
    is_secret(&name)
        || ["COOKIE", "CREDENTIAL", "SIGNATURE"]
            .iter()
            .any(|secret| name.to_ascii_uppercase().contains(secret))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use temporalio_client::Url;

    use super::*;

    fn options(address: &str) -> ConnectionOptions {
        ConnectionOptions::new(Url::parse(address).unwrap()).build()
    }

    fn with_key(address: &str, key: &str) -> ConnectionOptions {
        let mut options = options(address);
        options.api_key = Some(key.to_owned());
        options
    }

    /// Whether TLS is used; both places that decide it must agree.
    fn uses_tls(options: &ConnectionOptions) -> bool {
        let uses_tls = options.tls_options.is_some();
        assert_eq!(options.target.scheme() == "https", uses_tls, "{}", options.target);
        uses_tls
    }

    fn secured(mut options: ConnectionOptions, tls_off: Option<&str>) -> (bool, Vec<String>) {
        let mut warnings = Warnings::default();
        secure(&mut options, tls_off, tls_off.is_some(), &mut warnings).unwrap();
        (uses_tls(&options), warnings.texts().to_vec())
    }

    #[test]
    fn a_key_means_tls_unless_the_host_is_this_machine() {
        for (address, expected) in [
            ("http://ns.a1b2c.tmprl.cloud:7233", true),
            ("http://10.0.0.1:7233", true),
            ("http://localhost:7233", false),
            ("http://127.0.0.1:7233", false),
            ("http://[::1]:7233", false),
            ("https://localhost:7233", true),
        ] {
            assert_eq!(secured(with_key(address, "k"), None), (expected, Vec::new()), "{address}");
        }
        assert!(!secured(options("http://temporal.internal:7233"), None).0, "nothing is secret");
    }

    #[test]
    fn a_header_with_credentials_means_tls_as_a_key_does() {
        let secured_with = |name: &str| {
            let mut options = options("http://temporal.internal:7233");
            options.headers = Some(HashMap::from([(name.to_owned(), "t".to_owned())]));
            secured(options, None).0
        };
        for name in ["Authorization", "x-api-key", "x-auth-token", "cookie"] {
            assert!(secured_with(name), "{name}");
        }
        assert!(!secured_with("x-request-source"));
    }

    #[test]
    fn a_key_that_a_setting_lets_go_in_clear_text_is_warned_about() {
        let off = Some("TEMPORAL_TLS");
        let (tls, warnings) = secured(with_key("http://temporal.internal:7233", "k"), off);
        assert!(!tls);
        assert!(warnings[0].contains("temporal.internal"), "{warnings:?}");
        assert_eq!(secured(with_key("http://localhost:7233", "k"), off), (false, Vec::new()));
    }

    #[test]
    fn https_means_tls_and_contradicts_a_setting_that_turns_it_off() {
        assert!(secured(options("https://temporal.internal:7233"), None).0);
        let mut options = options("https://temporal.internal:7233");
        let error = secure(&mut options, Some("TEMPORAL_TLS"), true, &mut Warnings::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("https://temporal.internal:7233"), "{error}");
        assert!(error.contains("TEMPORAL_TLS"), "{error}");
    }

    #[test]
    fn tls_options_mean_https_whatever_the_address_says() {
        let mut options = options("http://temporal.internal:7233");
        options.tls_options = Some(TlsOptions::default());
        assert!(secured(options, None).0);
    }

    #[test]
    fn a_key_is_sent_without_bearer_and_a_blank_one_is_none() {
        for (written, sent) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("abc", Some("abc")),
            (" ", None),
        ] {
            let mut options = with_key("http://localhost:7233", written);
            secure(&mut options, None, false, &mut Warnings::default()).unwrap();
            assert_eq!(options.api_key.as_deref(), sent, "{written}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused_and_not_shown() {
        for key in ["secret-key\n", "secret-key\u{e9}", "Bearer secret-key\r\n"] {
            let mut options = with_key("http://localhost:7233", key);
            let error = secure(&mut options, None, false, &mut Warnings::default()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret-key"), "{error:?}");
        }
    }

    #[test]
    fn what_a_server_quotes_of_a_credential_is_concealed() {
        let headers = HashMap::from([
            ("authorization".to_owned(), "Bearer tok-123456".to_owned()),
            ("x-auth-token".to_owned(), "hush-hush".to_owned()),
            ("x-env".to_owned(), "production".to_owned()),
        ]);
        let mut options = with_key("https://t:1", "key-and-more");
        options.headers = Some(headers);
        options.binary_headers =
            Some(HashMap::from([("sig-bin".to_owned(), b"binary-hush".to_vec())]));
        let said =
            "no: key-and-more, Bearer tok-123456, tok-123456, hush-hush, binary-hush, production";
        let shown = conceal(said.to_owned(), &options);
        for secret in ["key-and-more", "tok-123456", "hush"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("[API key]") && shown.contains("[header x-auth-token]"), "{shown}");
        assert!(shown.contains("production"), "what is no secret may be said: {shown}");
    }
}
