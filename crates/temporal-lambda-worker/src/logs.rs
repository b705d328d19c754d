//! The subscriber that [`run_worker`](crate::run_worker) installs if nobody else did.

use lambda_runtime::tracing::subscriber;
use subscriber::filter::{EnvFilter, LevelFilter};
use subscriber::util::SubscriberInitExt as _;

/// Installs a subscriber that writes to stderr: `lambda_runtime`'s, but for two things. Lines are
/// JSON unless `AWS_LAMBDA_LOG_FORMAT` says otherwise, with the time, which Lambda's own filter by
/// level asks for; and `AWS_LAMBDA_LOG_LEVEL` wins over `RUST_LOG`, as Lambda means it to.
pub(crate) fn install() {
    let variable = |name| std::env::var(name).ok();
    let directives = directives(variable("AWS_LAMBDA_LOG_LEVEL"), variable("RUST_LOG"));
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse_lossy(directives);
    let lines = subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // CloudWatch shows escape sequences as they are.
        .with_ansi(false);
    // It fails if somebody was faster; then theirs is the one that counts.
    let _ = if is_json(variable("AWS_LAMBDA_LOG_FORMAT").as_deref()) {
        lines.json().finish().try_init()
    } else {
        lines.with_target(false).without_time().finish().try_init()
    };
}

fn is_json(format: Option<&str>) -> bool {
    format.is_none_or(|format| format.is_empty() || format.eq_ignore_ascii_case("json"))
}

/// What the filter is told.
fn directives(lambda: Option<String>, rust: Option<String>) -> String {
    match lambda.filter(|level| !level.is_empty()) {
        // Lambda's highest level, which tracing does not have.
        Some(level) if level.eq_ignore_ascii_case("fatal") => "error".to_owned(),
        Some(level) => level.to_ascii_lowercase(),
        None => rust.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_unless_text_is_asked_for() {
        for json in [None, Some(""), Some("JSON"), Some("json")] {
            assert!(is_json(json), "{json:?}");
        }
        assert!(!is_json(Some("Text")));
    }

    #[test]
    fn lambdas_level_wins_and_fatal_is_error() {
        let own = |it: &str| Some(it.to_owned());
        assert_eq!(directives(own("WARN"), own("debug")), "warn");
        assert_eq!(directives(own("FATAL"), None), "error");
        assert_eq!(directives(own(""), own("a=debug")), "a=debug");
        assert_eq!(directives(None, None), "");
    }
}
