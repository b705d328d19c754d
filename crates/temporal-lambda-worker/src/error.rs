//! What can go wrong, who is at fault, and what to do.

mod fault;

use std::fmt;

use lambda_runtime::Diagnostic;

use crate::config::ConfigError;
use crate::report::InvocationReport;

pub use fault::Fault;

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

    /// What the invocation did all the same.
    pub fn report(&self) -> &InvocationReport {
        &self.0.report
    }

    /// What the invocation did all the same, without the error around it.
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
        let errors = vec![crate::report::ReportedError::of(&fault)];
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
            write!(f, "; then: {later}")?;
        }
        Ok(())
    }
}

/// For people, too, since `main` and `unwrap` show this: as `Display`, on several lines.
impl fmt::Debug for LambdaWorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fault)?;
        for later in &self.0.later {
            write!(f, "\n  then: {later}")?;
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
            error_message: error.to_string(),
        }
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
        let alone = LambdaWorkerError::from(Fault::Poisoned);
        assert_eq!(format!("{alone:?}"), alone.to_string());
    }
}
