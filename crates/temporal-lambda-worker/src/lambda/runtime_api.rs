//! Checks of Lambda's variables and of the Runtime API that `lambda_runtime` does not make: it would panic, or ask
//! for ever.

use std::io::ErrorKind;
use std::time::Duration;

use crate::config::Variables;
use crate::error::{ConfigError, Fault};

const ADDRESS: &str = "AWS_LAMBDA_RUNTIME_API";

/// Checks the variables without which `lambda_runtime` panics.
pub(crate) fn check(variables: &Variables) -> Result<(), ConfigError> {
    for name in [ADDRESS, "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
        variables.get(name)?.ok_or(ConfigError::NotInLambda { name })?;
    }
    // `lambda_runtime` does not trim them, so blanks around a value are refused.
    let address = variables.verbatim(ADDRESS)?.unwrap_or_default();
    if authority(address).is_none() {
        let expected = "host:port, or http://host:port with a path or without";
        return Err(ConfigError::bad_variable(ADDRESS, address, expected));
    }
    let name = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    let memory = variables.verbatim(name)?.ok_or(ConfigError::NotInLambda { name })?;
    let expected = "a whole number of MB, without blanks";
    memory.parse::<i32>().map_err(|_| ConfigError::bad_variable(name, memory, expected))?;
    Ok(())
}

/// Host and port. Lambda gives no more; `cargo lambda watch` gives `http://` and a path, which
/// `lambda_runtime` understands.
fn authority(address: &str) -> Option<String> {
    let uri: http::Uri = address.parse().ok()?;
    let is_http = uri.scheme_str().is_none_or(|scheme| scheme == "http");
    let authority = uri.authority().filter(|it| is_http && !it.host().is_empty())?;
    Some(authority.to_string())
}

/// How often the Runtime API is checked, where `lambda_runtime` would not notice that it is gone.
const INTERVAL: Duration = Duration::from_secs(2);
/// After how many refused connections in a row the Runtime API counts as gone.
const ATTEMPTS: u32 = 3;

/// Returns when the Runtime API is gone. Only `lambda_runtime`'s loop for several invocations at once needs this: it
/// does not notice, and asks again without a pause for as long as the process lives.
///
/// # Cancel safety
/// Dropping the future ends the watch.
pub(crate) async fn gone(variables: &Variables) -> Fault {
    let address = variables.get(ADDRESS).ok().flatten().and_then(authority);
    let (true, Some(address)) = (is_concurrent(variables), address) else {
        return std::future::pending().await;
    };
    let mut failures = 0;
    while failures < ATTEMPTS {
        tokio::time::sleep(INTERVAL).await;
        // Only a refused connection is certain; other errors may come from this machine.
        let connecting = tokio::net::TcpStream::connect(&address).await;
        let is_refused =
            matches!(connecting, Err(error) if error.kind() == ErrorKind::ConnectionRefused);
        failures = if is_refused { failures + 1 } else { 0 };
    }
    Fault::Runtime(format!("nobody listens at {address} ({ADDRESS}) any more"))
}

/// Whether `lambda_runtime` asks for several events at once. A limit that is not a number counts as 1.
fn is_concurrent(variables: &Variables) -> bool {
    match limit(variables) {
        Ok(limit) => limit.is_some_and(|limit| limit > 1),
        Err(error) => {
            tracing::warn!("{error}; one event is served at a time");
            false
        }
    }
}

/// How many events are served at once, as far as that is known.
pub(crate) fn events_at_once(variables: &Variables) -> usize {
    let limit = limit(variables).ok().flatten().unwrap_or(1);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn limit(variables: &Variables) -> Result<Option<u32>, ConfigError> {
    variables.parsed("AWS_LAMBDA_MAX_CONCURRENCY", "a whole number above zero", positive)
}

fn positive(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number > 0)
}

/// The fault for an error with which `lambda_runtime` ended, with its meaning.
pub(crate) fn failed(message: &str) -> Fault {
    let meaning = if message.contains("missing lambda-runtime-aws-request-id header") {
        "the answer to the request for the next event had no request ID: it was a refusal, or \
         AWS_LAMBDA_RUNTIME_API is not the address of Lambda's Runtime API"
    } else if message.contains("missing lambda-runtime-deadline-ms header") {
        "an event came without a deadline, which `lambda_runtime` cannot take"
    } else if message.contains("invalid digit found in string") {
        "an event's deadline (lambda-runtime-deadline-ms) is no whole number"
    } else if message.contains(" at line ") {
        "a header of an event is not understood: the client context (--client-context of the AWS CLI) \
         or the Cognito identity does not have the form that `lambda_runtime` takes"
    } else {
        return Fault::Runtime(message.to_owned());
    };
    Fault::Runtime(format!("{meaning} ({message})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str, value: &str) -> Variables {
        let right = [
            (ADDRESS, "127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ];
        let all = right.iter().filter(|(other, _)| *other != name).copied().chain([(name, value)]);
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn as_many_callbacks_may_block_as_there_are_events_at_once() {
        let at_once = |value| events_at_once(&variables("AWS_LAMBDA_MAX_CONCURRENCY", value));
        assert_eq!(events_at_once(&variables("OTHER", "x")), 1);
        for (value, events) in [("", 1), ("1", 1), ("8", 8), ("500", 500), ("0", 1), ("many", 1)] {
            assert_eq!(at_once(value), events, "{value:?}");
        }
    }

    #[test]
    fn a_bad_variable_of_lambda_is_named_with_its_value() {
        assert!(check(&variables("OTHER", "x")).is_ok());
        for right in ["localhost:9001", "http://127.0.0.1:9001", "http://127.0.0.1:9001/orders"] {
            assert!(check(&variables(ADDRESS, right)).is_ok(), "{right}");
        }
        for (name, value) in [
            (ADDRESS, "https://127.0.0.1:9001"),
            (ADDRESS, "127.0.0.1:9001/"),
            (ADDRESS, " 127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128MB"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128 "),
        ] {
            let error = check(&variables(name, value)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        for name in [ADDRESS, "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] {
            let error = check(&variables(name, " ")).unwrap_err();
            assert!(matches!(error, ConfigError::NotInLambda { .. }), "{error}");
        }
    }

    #[test]
    fn a_concurrency_limit_that_is_not_a_number_counts_as_one() {
        let limit = |text| is_concurrent(&Variables::of([("AWS_LAMBDA_MAX_CONCURRENCY", text)]));
        assert!(limit("2"));
        for text in ["", "1", "0", "-1", "many"] {
            assert!(!limit(text), "{text}");
        }
    }

    #[tokio::test]
    async fn a_runtime_api_that_is_gone_is_noticed_where_several_events_are_served_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        tokio::time::pause();
        let concurrent = Variables::of([(ADDRESS, &address), ("AWS_LAMBDA_MAX_CONCURRENCY", "2")]);
        let fault = gone(&concurrent).await.to_string();
        assert!(fault.contains(&address), "{fault}");
        let single = Variables::of([(ADDRESS, &address)]);
        let waiting = tokio::time::timeout(100 * INTERVAL, gone(&single)).await;
        assert!(waiting.is_err(), "with one event at a time `lambda_runtime` notices by itself");
    }

    #[tokio::test]
    async fn a_runtime_api_that_listens_does_not_count_as_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let concurrent = Variables::of([(ADDRESS, &address), ("AWS_LAMBDA_MAX_CONCURRENCY", "2")]);
        tokio::time::pause();
        let waiting = tokio::time::timeout(10 * INTERVAL, gone(&concurrent)).await;
        assert!(waiting.is_err());
    }
}
