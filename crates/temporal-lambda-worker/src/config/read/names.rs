//! The names of Temporal's variables, and warnings about names that are nearly one of them.

use super::nearest::nearest;
use super::variables::Variables;

/// Warnings about variables that are not read, but whose names are misspellings or earlier names of
/// variables that are.
pub(crate) fn near_misses(variables: &Variables) -> Vec<String> {
    let mut names: Vec<_> =
        variables.names().filter_map(|it| it.strip_prefix("TEMPORAL_")).collect();
    names.sort_unstable();
    let unread = names.into_iter().filter(|name| {
        !TEMPORALS.contains(name) && !name.starts_with("LAMBDA_") && !name.starts_with("GRPC_META_")
    });
    let meant = |name: &str| {
        let earlier = EARLIER.iter().find(|(earlier, _)| *earlier == name);
        earlier.map(|(_, now)| *now).or_else(|| nearest(name, TEMPORALS))
    };
    unread
        .filter_map(|name| Some((name, meant(name)?)))
        .map(|(name, meant)| {
            format!(
                "the environment variable TEMPORAL_{name} is not read here: did you mean \
                 TEMPORAL_{meant}?"
            )
        })
        .collect()
}

/// The variables of Temporal's environment configuration, and this crate's beside them, without
/// `TEMPORAL_`.
const TEMPORALS: &[&str] = &[
    "CONFIG_FILE",
    "PROFILE",
    "ADDRESS",
    "NAMESPACE",
    "API_KEY",
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
];

/// Names that earlier tools of Temporal's read, and what they are called now.
const EARLIER: &[(&str, &str)] = &[
    ("TLS_CERT", "TLS_CLIENT_CERT_PATH"),
    ("TLS_KEY", "TLS_CLIENT_KEY_PATH"),
    ("TLS_CA", "TLS_SERVER_CA_CERT_PATH"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_whose_name_is_nearly_one_of_temporals_is_warned_about() {
        for (name, meant) in [
            ("TEMPORAL_ADRESS", "TEMPORAL_ADDRESS"),
            ("TEMPORAL_APIKEY", "TEMPORAL_API_KEY"),
            ("TEMPORAL_NAMESPACES", "TEMPORAL_NAMESPACE"),
            ("TEMPORAL_TLS_CERT", "TEMPORAL_TLS_CLIENT_CERT_PATH"),
            ("TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH"),
        ] {
            let warnings = near_misses(&Variables::of([(name, "x")]));
            let [warning] = &warnings[..] else { panic!("{name}: {warnings:?}") };
            assert!(warning.contains(name) && warning.contains(meant), "{warning}");
        }
        for name in ["TEMPORAL_CLI", "TEMPORAL_HOST", "TEMPORAL_GRPC_META_ADRESS", "TEMPORAL_TLS"] {
            assert_eq!(near_misses(&Variables::of([(name, "x")])), [""; 0], "{name}");
        }
    }
}
