//! The subscriber that [`run_worker`](crate::run_worker) installs if the application has installed none.

use std::io::IsTerminal as _;

use lambda_runtime::tracing::subscriber;
use subscriber::Layer as _;
use subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, Targets, filter_fn};
use subscriber::layer::{Filter, SubscriberExt as _};
use subscriber::util::SubscriberInitExt as _;
use tracing::Metadata;

use crate::config::Variables;
use crate::error::ConfigError;

const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
const FORMAT: &str = "AWS_LAMBDA_LOG_FORMAT";

/// Installs a subscriber that writes to stderr: `lambda_runtime`'s, but for three things. Lines are
/// JSON, with an event's fields at its top level, unless `AWS_LAMBDA_LOG_FORMAT` says otherwise or people read along, with the time, which
/// Lambda's own filter by level asks for; `AWS_LAMBDA_LOG_LEVEL` wins over `RUST_LOG`, as Lambda means
/// it to; and errors of an invocation are written whatever the level. The spans that the SDK's core makes for every call and every event
/// of a history are kept only where something is logged at DEBUG, for the CPU that they take.
pub(crate) fn install() {
    let variables = Variables::of_process();
    let mut complaints = Vec::new();
    let level = level(&variables, &mut complaints);
    let is_json = is_json(&variables, std::io::stderr().is_terminal(), &mut complaints);
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let filter = match level {
        Some(level) => filter.parse_lossy(level.to_string()),
        None => filter.parse_lossy(directives(&variables, &mut complaints)),
    };
    let filter = without_spans_of_core(filter);
    let errors = Targets::new()
        .with_target("temporal_lambda_worker", LevelFilter::ERROR)
        .with_target("lambda_runtime", LevelFilter::ERROR);
    // CloudWatch does not interpret escape sequences.
    let lines = subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = if is_json {
        lines.json().flatten_event(true).with_filter(filter.or(errors)).boxed()
    } else {
        lines.with_target(false).without_time().with_filter(filter.or(errors)).boxed()
    };
    // It fails if a subscriber was installed meanwhile, which is then used.
    if subscriber::registry().with(lines).try_init().is_ok() {
        for complaint in complaints {
            // A wrong level must not hide the warning about it.
            if tracing::enabled!(tracing::Level::WARN) {
                tracing::warn!("{complaint}");
            } else {
                tracing::error!("{complaint}");
            }
        }
    }
}

/// The filter, which drops the spans of the SDK's core unless something is logged for debugging.
fn without_spans_of_core<S>(filter: EnvFilter) -> impl Filter<S> {
    let is_for_debugging = filter.max_level_hint() >= Some(LevelFilter::DEBUG);
    let is_kept = move |metadata: &Metadata<'_>| {
        is_for_debugging
            || !metadata.is_span()
            || !metadata.target().starts_with("temporalio_sdk_core")
    };
    // Without a hint, what the filter leaves out would be looked at, too.
    filter.and(filter_fn(is_kept).with_max_level_hint(LevelFilter::TRACE))
}

/// Whether lines are JSON: as the variable says, else unless stderr is a terminal.
fn is_json(variables: &Variables, terminal: bool, complaints: &mut Vec<String>) -> bool {
    let format = variables.parsed(FORMAT, "JSON or Text", |format| {
        let is_json = format.eq_ignore_ascii_case("json");
        (is_json || format.eq_ignore_ascii_case("text")).then_some(is_json)
    });
    or_complain(format, "lines are JSON", complaints).unwrap_or_else(|bad| bad || !terminal)
}

/// The level that is configured in Lambda, if one is.
fn level(variables: &Variables, complaints: &mut Vec<String>) -> Option<LevelFilter> {
    let expected = "TRACE, DEBUG, INFO, WARN, ERROR or FATAL";
    let exact = variables.parsed(LEVEL, expected, |level| match &*level.to_ascii_uppercase() {
        "TRACE" => Some(LevelFilter::TRACE),
        "DEBUG" => Some(LevelFilter::DEBUG),
        "INFO" => Some(LevelFilter::INFO),
        "WARN" => Some(LevelFilter::WARN),
        // Lambda's highest level, which tracing does not have.
        "ERROR" | "FATAL" => Some(LevelFilter::ERROR),
        _ => None,
    });
    if let Ok(level) = exact {
        return level;
    }
    let written = variables.get(LEVEL).ok().flatten().unwrap_or_default();
    let near = nearest_level(written);
    let _ = or_complain::<LevelFilter>(
        exact,
        &format!("{} is taken", near.to_string().to_ascii_uppercase()),
        complaints,
    );
    Some(near)
}

/// The level that is nearest to a word of another logging system.
fn nearest_level(written: &str) -> LevelFilter {
    let written = written.to_ascii_lowercase();
    let known = [
        (&["trace", "finest", "all", "verbose", "silly"][..], LevelFilter::TRACE),
        (&["debug", "fine"], LevelFilter::DEBUG),
        (&["warn", "warning"], LevelFilter::WARN),
        // Errors are always written.
        (&["error", "err", "critical", "severe", "none", "off", "silent"], LevelFilter::ERROR),
    ];
    let meant = known.into_iter().find(|(words, _)| {
        words.iter().any(|word| strsim::damerau_levenshtein(word, &written) <= word.len() / 4)
    });
    meant.map_or(LevelFilter::INFO, |(_, level)| level)
}

/// The directives of `RUST_LOG`. A part that is no directive is left out, with a warning.
fn directives(variables: &Variables, complaints: &mut Vec<String>) -> String {
    let text = match variables.get("RUST_LOG") {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            complaints.push(error.to_string());
            return String::new();
        }
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let (good, bad): (Vec<_>, Vec<_>) = parts.partition(|part| part.parse::<Directive>().is_ok());
    for part in bad {
        complaints.push(format!("RUST_LOG has {part:?}, which is no directive: it is left out"));
    }
    good.join(",")
}

type Directive = subscriber::filter::Directive;

/// The value; or a complaint about it, which says what is done instead.
fn or_complain<T>(
    value: Result<Option<T>, ConfigError>,
    instead: &str,
    complaints: &mut Vec<String>,
) -> Result<T, bool> {
    match value {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(false),
        Err(error) => {
            complaints.push(format!("{error}; {instead}"));
            Err(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled, info_span};

    use super::*;

    #[test]
    fn spans_of_the_sdks_core_are_kept_for_debugging_only_and_its_events_as_the_level_says() {
        for (directives, keeps_spans) in
            [("info", false), ("debug", true), ("info,my_crate=debug", true)]
        {
            let filter = without_spans_of_core(EnvFilter::new(directives));
            let lines = subscriber::fmt::layer().with_writer(std::io::sink).with_filter(filter);
            tracing::subscriber::with_default(subscriber::registry().with(lines), || {
                let span = info_span!(target: "temporalio_sdk_core::worker", "call");
                assert_eq!(span.is_disabled(), !keeps_spans, "{directives}");
                assert!(!info_span!(target: "temporal_lambda_worker", "invocation").is_disabled());
                assert!(enabled!(target: "temporalio_sdk_core::worker", Level::INFO));
                let is_debugged = directives == "debug";
                assert_eq!(
                    enabled!(target: "temporalio_sdk_core::worker", Level::DEBUG),
                    is_debugged
                );
            });
        }
    }

    fn json(format: &str, terminal: bool) -> (bool, usize) {
        let mut complaints = Vec::new();
        let variables = Variables::of([(FORMAT, format)]);
        (is_json(&variables, terminal, &mut complaints), complaints.len())
    }

    #[test]
    fn log_lines_are_json_unless_text_is_asked_for_or_stderr_is_a_terminal() {
        for format in ["JSON", "json", "Json "] {
            assert_eq!(
                (json(format, false), json(format, true)),
                ((true, 0), (true, 0)),
                "{format}"
            );
        }
        for format in ["Text", "TEXT", "text "] {
            assert_eq!((json(format, false), json(format, true)), ((false, 0), (false, 0)));
        }
        for unset in ["", " "] {
            assert_eq!((json(unset, false), json(unset, true)), ((true, 0), (false, 0)));
        }
        assert_eq!(json("yaml", true), (true, 1), "a complaint is made");
    }

    fn level_of(text: &str) -> (Option<LevelFilter>, Vec<String>) {
        let mut complaints = Vec::new();
        let level = level(&Variables::of([(LEVEL, text)]), &mut complaints);
        (level, complaints)
    }

    #[test]
    fn lambdas_log_levels_are_accepted_in_any_case_and_with_blanks() {
        for (text, expected) in [
            ("INFO", LevelFilter::INFO),
            ("INFO ", LevelFilter::INFO),
            ("warn", LevelFilter::WARN),
            ("FATAL", LevelFilter::ERROR),
            ("Trace", LevelFilter::TRACE),
        ] {
            assert_eq!(level_of(text), (Some(expected), Vec::new()), "{text}");
        }
        assert_eq!(level_of(" "), (None, Vec::new()));
    }

    #[test]
    fn an_unknown_log_level_is_complained_about_and_the_nearest_is_used() {
        for (text, expected) in [
            ("Warning", LevelFilter::WARN),
            ("wanr", LevelFilter::WARN),
            ("eror", LevelFilter::ERROR),
            ("none", LevelFilter::ERROR),
            ("OFF", LevelFilter::ERROR),
            ("CRITICAL", LevelFilter::ERROR),
            ("verbose", LevelFilter::TRACE),
            ("notice", LevelFilter::INFO),
            ("20", LevelFilter::INFO),
        ] {
            let (level, complaints) = level_of(text);
            assert_eq!(level, Some(expected), "{text}");
            let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
            assert!(complaint.contains(LEVEL) && complaint.contains(text), "{complaint}");
        }
    }

    #[test]
    fn a_bad_directive_in_rust_log_is_left_out_and_complained_about() {
        let mut complaints = Vec::new();
        let variables = Variables::of([("RUST_LOG", "a=debug, b=loud,info")]);
        assert_eq!(directives(&variables, &mut complaints), "a=debug,info");
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].contains("b=loud"), "{complaints:?}");
    }
}
