//! The error of an invocation, with its report.

use std::fmt;

use lambda_runtime::Diagnostic;

use super::{InvocationReport, ReportedError};
use crate::error::{ConfigError, Fault, with_sources};

/// An invocation that failed: what failed first, what failed later, and what was done until then.
pub struct LambdaWorkerError(Box<Inner>);

struct Inner {
    fault: Fault,
    later: Vec<Fault>,
    report: InvocationReport,
}

impl LambdaWorkerError {
    pub(crate) fn new(fault: Fault, later: Vec<Fault>, report: InvocationReport) -> Self {
        Self(Box::new(Inner { fault, later, report }))
    }

    /// What failed first.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// What failed after that, in order.
    pub fn later(&self) -> &[Fault] {
        &self.0.later
    }

    /// The report of what the invocation did.
    pub fn report(&self) -> &InvocationReport {
        &self.0.report
    }

    /// All that failed in one line, each with what lies beneath it. Lambda gets this as `errorMessage`. (The
    /// error's `Display` leaves its `source` out, as is the rule in Rust; its `Debug` is this on several lines.)
    pub fn message(&self) -> String {
        let all = std::iter::once(&self.0.fault).chain(&self.0.later);
        all.map(|fault| with_sources(fault)).collect::<Vec<_>>().join("; then: ")
    }

    /// The report of what the invocation did, without the error.
    pub fn into_report(self) -> InvocationReport {
        self.0.report
    }

    /// Whether this environment must not be used again. [`run_worker`](crate::run_worker) ends the
    /// process after such an error was posted; whoever embeds the handler must do so themselves.
    pub fn is_poisoned(&self) -> bool {
        self.0.report.poisoned || matches!(self.0.fault, Fault::Poisoned)
    }
}

impl From<Fault> for LambdaWorkerError {
    fn from(fault: Fault) -> Self {
        let errors = vec![ReportedError::of(&fault)];
        Self::new(fault, Vec::new(), InvocationReport { errors, ..Default::default() })
    }
}

impl From<ConfigError> for LambdaWorkerError {
    fn from(error: ConfigError) -> Self {
        Fault::from(error).into()
    }
}

impl fmt::Display for LambdaWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fault)?;
        for later in &self.0.later {
            write!(f, "; then: {}", with_sources(later))?;
        }
        Ok(())
    }
}

/// For people, too, since `main` and `unwrap` show this: with all sources, on several lines.
impl fmt::Debug for LambdaWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", with_sources(&self.0.fault))?;
        for later in &self.0.later {
            write!(f, "\n  then: {}", with_sources(later))?;
        }
        Ok(())
    }
}

impl std::error::Error for LambdaWorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.fault.source()
    }
}

impl From<LambdaWorkerError> for Diagnostic {
    fn from(error: LambdaWorkerError) -> Self {
        Self {
            error_type: format!("TemporalLambdaWorker.{}", error.fault().error_type()),
            error_message: error.message(),
        }
    }
}

impl ReportedError {
    pub(crate) fn of(fault: &Fault) -> Self {
        Self { error_type: fault.error_type().to_owned(), message: with_sources(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `main` and `unwrap` show an error by its `Debug`.
    #[test]
    fn debug_is_for_people_and_has_a_line_for_each_cause() {
        let report = InvocationReport { request_id: "r-1".to_owned(), ..Default::default() };
        let first = Fault::Configure("no such table".into());
        let later = vec![Fault::WorkerNotStopped, Fault::NotSettled];
        let error = LambdaWorkerError::new(first, later, report);
        let expected = format!(
            "configure failed: no such table\n  then: {}\n  then: {}",
            Fault::WorkerNotStopped,
            Fault::NotSettled
        );
        assert_eq!(format!("{error:?}"), expected);
        assert_eq!(format!("{error:#?}"), expected);
        let in_one_line = error.message();
        assert_eq!(in_one_line, expected.replace("\n  then: ", "; then: "));
        let alone = LambdaWorkerError::from(Fault::Poisoned);
        assert_eq!(format!("{alone:?}"), alone.to_string());
    }

    #[test]
    fn a_message_leaves_its_source_to_the_source() {
        let io = || std::io::Error::other("the disk is gone");
        let unreadable = ConfigError::FileUnreadable { path: "/a".into(), source: io() };
        for fault in [
            Fault::from(unreadable),
            Fault::from(ConfigError::named_file("X", "/a".into(), io())),
            Fault::Configure(Box::new(io())),
            Fault::OnStart(Box::new(io())),
        ] {
            assert!(!fault.to_string().contains("the disk"), "{fault}");
            assert!(with_sources(&fault).ends_with(": the disk is gone"), "{fault}");
            let error = LambdaWorkerError::from(fault);
            let source = std::error::Error::source(&error).expect("there is one");
            assert!(source.is::<std::io::Error>(), "{source:?}");
            assert_eq!(error.to_string().matches("the disk").count(), 0, "{error}");
            assert_eq!(error.message().matches("the disk").count(), 1);
            assert_eq!(error.report().errors[0].message, error.message());
        }
    }
}
