//! What can go wrong with AWS, and what to do about it.

use std::time::Duration;

use super::action::Action;
use super::denied::Denied;

/// Why AWS did not do what it was asked for. None of them has a secret in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AwsError {
    #[error("there are no credentials for AWS: {0}")]
    NoCredentials(String),
    #[error("there is no AWS region: give --region, or set AWS_REGION")]
    NoRegion,
    #[error("{0:?} is no AWS region: give another with --region")]
    Region(String),
    #[error(
        "the endpoint {0:?} is no URL: it begins with http:// or https:// and has a host, or is `local`"
    )]
    Endpoint(String),
    #[error(
        "{action}: {endpoint} cannot be reached: {reason}; check the region, the endpoint and the network"
    )]
    Unreachable { action: Action, endpoint: String, reason: String },
    #[error("{0}")]
    Denied(Denied),
    #[error(
        "{action}: AWS does not accept the credentials ({code}: {message}); they may have expired: log in again, \
         or set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN anew"
    )]
    Credentials { action: Action, code: String, message: String },
    #[error("{action}: AWS refused ({code}): {message}{}", advice(code))]
    Refused { action: Action, code: String, message: String },
    #[error("{action}: AWS's answer is not understood: {reason}; is the endpoint AWS's?")]
    Answer { action: Action, reason: String },
    #[error(
        "{what} did not become ready within {within:?} (last state: {state}); run the same command again"
    )]
    NotReady { what: String, state: String, within: Duration },
    #[error("{what} cannot be used: {reason}")]
    Broken { what: String, reason: String },
}

impl AwsError {
    /// The error in an answer.
    pub(super) fn refused(action: Action, key_id: &str, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        match code.as_str() {
            "AccessDeniedException" | "AccessDenied" => {
                Self::Denied(Denied::new(action, key_id, &message))
            }
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException" => Self::Credentials { action, code, message },
            _ => Self::Refused { action, code, message },
        }
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "ResourceNotFoundException")
    }

    /// Whether it is there already.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "ResourceAlreadyExistsException")
    }

    /// Whether the same call may go better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, message, .. } => match code.as_str() {
                "TooManyRequestsException"
                | "ThrottlingException"
                | "Throttling"
                | "ServiceException"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "InternalFailure"
                | "OperationAbortedException" => true,
                // An update is in progress, or the function is made just now.
                "ResourceConflictException" => message.contains("cannot be performed at this time"),
                // A role is not known everywhere at once.
                "InvalidParameterValueException" => message.contains("cannot be assumed by Lambda"),
                _ => false,
            },
            _ => false,
        }
    }
}

/// What to do about a refusal with this code.
fn advice(code: &str) -> &'static str {
    match code {
        "CodeStorageExceededException" => {
            "; the account has no room for another version: `temporal-lambda prune` deletes those that are drained"
        }
        "ResourceConflictException" => {
            "; somebody else changes the function: run the same command again"
        }
        "PreconditionFailedException" => {
            "; somebody else changed the function meanwhile: run the same command again"
        }
        "TooManyRequestsException" | "ThrottlingException" | "Throttling" => {
            "; AWS takes no more calls for now: run the same command again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, message: &str) -> AwsError {
        AwsError::refused(Action::UpdateFunctionCode, "AKIA", code, message)
    }

    #[test]
    fn throttling_and_an_update_in_progress_pass_and_other_conflicts_do_not() {
        assert!(refused("TooManyRequestsException", "Rate exceeded").is_passing());
        let busy = "The operation cannot be performed at this time. An update is in progress for resource: a";
        assert!(refused("ResourceConflictException", busy).is_passing());
        assert!(!refused("ResourceConflictException", "Function already exist: a").is_passing());
        assert!(!refused("InvalidParameterValueException", "Unzipped size").is_passing());
        assert!(!refused("AccessDeniedException", "no").is_passing());
    }

    #[test]
    fn credentials_that_expired_are_told_apart_from_a_missing_permission() {
        let shown = refused("ExpiredTokenException", "The security token expired").to_string();
        assert!(shown.contains("log in again"), "{shown}");
        assert!(refused("AccessDenied", "no").to_string().starts_with("AWS denies"));
    }
}
