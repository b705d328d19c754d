//! The server's address: the forms in which people write it become the one that the SDK takes.

use crate::config::warnings::Warnings;
use crate::error::ConfigError;

const EXPECTED: &str = "host:port, such as localhost:7233 or my-namespace.a1b2c.tmprl.cloud:7233";

/// Prefixes for gRPC libraries of other languages. They ask for name resolution as it is done here anyway.
const RESOLVERS: &[&str] = &["dns:///", "passthrough:///"];

/// The address as the SDK takes it: `host:port`, or a URL with `http` or `https`.
pub(crate) fn normal(
    address: &str,
    setting: &str,
    warnings: &mut Warnings,
) -> Result<String, ConfigError> {
    let bare = RESOLVERS.iter().find_map(|prefix| address.strip_prefix(prefix)).unwrap_or(address);
    let (scheme, rest) = match bare.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, bare),
    };
    let authority = rest.trim_end_matches('/');
    let refused = |value: &str, why: &str| ConfigError::BadAddress {
        setting: setting.to_owned(),
        value: value.to_owned(),
        reason: format!("{why}; it must be {EXPECTED}"),
    };
    if authority.contains('@') {
        return Err(refused(
            "(not shown)",
            "it holds a user's name or password, which Temporal \
                                           does not know: use an API key",
        ));
    }
    if scheme.as_deref().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(refused(address, "its scheme is not known here"));
    }
    if authority.is_empty() || authority.contains(['/', '?', '#', ',', ' ']) {
        return Err(refused(address, "it is not the address of one server"));
    }
    let (host, port) = split(authority);
    if host.is_empty() || host.contains(':') {
        return Err(refused(address, "its host is not understood"));
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => {
            return Err(refused(address, "its port is no number up to 65535"));
        }
        None if scheme.is_none() => warnings.add(format!(
            "{setting} is {address:?}, without a port, so that of HTTP is used: Temporal listens on \
             7233, as a rule"
        )),
        _ => {}
    }
    Ok(match scheme {
        Some(scheme) => format!("{scheme}://{authority}"),
        None => authority.to_owned(),
    })
}

/// Host and port; an IPv6 address stands in brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return (host_of_brackets(host), rest.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// An IPv6 address has colons, which a host's name may not have.
fn host_of_brackets(host: &str) -> &str {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { "ipv6" } else { "" }
}

/// Whether what is sent to this host stays on this machine.
pub(crate) fn is_loopback(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(address: &str) -> (Result<String, ConfigError>, Vec<String>) {
        let mut warnings = Warnings::default();
        let result = normal(address, "TEMPORAL_ADDRESS", &mut warnings);
        (result, warnings.texts().to_vec())
    }

    #[test]
    fn an_address_that_other_sdks_take_is_understood() {
        for (address, expected) in [
            ("localhost:7233", "localhost:7233"),
            ("dns:///temporal.internal:7233", "temporal.internal:7233"),
            ("passthrough:///10.0.0.1:7233", "10.0.0.1:7233"),
            ("HTTPS://temporal.internal", "https://temporal.internal"),
            ("http://temporal.internal:80/", "http://temporal.internal:80"),
            ("[::1]:7233", "[::1]:7233"),
        ] {
            let (result, warnings) = warned(address);
            assert_eq!(result.unwrap(), expected);
            assert_eq!(warnings, Vec::<String>::new(), "{address}");
        }
    }

    #[test]
    fn an_address_without_a_port_is_warned_about() {
        for address in ["my-namespace.a1b2c.tmprl.cloud", "[::1]"] {
            let (result, warnings) = warned(address);
            assert_eq!(result.unwrap(), address);
            assert!(warnings[0].contains("7233") && warnings[0].contains(address), "{warnings:?}");
        }
    }

    #[test]
    fn a_malformed_address_is_refused_with_its_setting_and_the_form_it_must_have() {
        for address in [
            "grpc://temporal:7233",
            "dns://8.8.8.8/temporal:7233",
            "temporal:many",
            "temporal:70000",
            "temporal-a:7233,temporal-b:7233",
            "temporal 7233",
            "https://temporal:7233/api",
            "::1:7233",
            "https://",
            ":7233",
        ] {
            let error = warned(address).0.unwrap_err().to_string();
            for part in ["TEMPORAL_ADDRESS", address, "host:port"] {
                assert!(error.contains(part), "{part} is not in {error}");
            }
        }
    }

    #[test]
    fn the_refusal_of_an_address_does_not_show_its_password() {
        let error = warned("https://me:hush-hush@temporal:7233").0.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }

    #[test]
    fn every_name_and_address_of_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(Some(host)), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.com", "host.docker.internal", "0.0.0.0"] {
            assert!(!is_loopback(Some(host)), "{host}");
        }
        assert!(!is_loopback(None));
    }
}
