//! The report of `doctor`: settings with their sources, and findings; as text or as JSON.

use temporal_lambda_worker::check::{Finding, Level};

use super::sources::Setting;
use crate::show::paint;

/// Everything that was found out.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) settings: Vec<Setting>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// Whether no finding is a problem.
    pub(super) fn is_ready(&self) -> bool {
        self.problems() == 0
    }

    fn problems(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level >= Level::Problem).count()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "ready": self.is_ready(), "settings": self.settings, "findings": self.findings,
        })
    }

    pub(super) fn print(&self) {
        println!("{}", paint::bold("settings"));
        if self.settings.is_empty() {
            println!("  none: there is no temporal.toml and no TEMPORAL_* variable");
        }
        for setting in &self.settings {
            let overridden =
                if setting.overridden { paint::dim(" (overridden)") } else { String::new() };
            let source = paint::dim(format!("from {}", setting.source));
            println!("  {} = {} {source}{overridden}", setting.name, setting.value);
        }
        println!("{}", paint::bold("findings"));
        for finding in &self.findings {
            let level = format!("{:<7}", finding.level.name());
            let level = match finding.level {
                Level::Ok => paint::green(level),
                Level::Hint => paint::cyan(level),
                Level::Warning => paint::yellow(level),
                _ => paint::red(level),
            };
            let code = match finding.level {
                Level::Ok => String::new(),
                _ => format!(" [{}]", finding.code.name()),
            };
            println!("  {level} {:<12} {}{code}", finding.subject, finding.message);
            if let Some(advice) = &finding.advice {
                println!("  {:<20} -> {advice}", "");
            }
        }
        let verdict = match self.problems() {
            0 => paint::green("doctor: no problem found"),
            1 => paint::red("doctor: 1 problem found"),
            more => paint::red(format!("doctor: {more} problems found")),
        };
        println!("{verdict}");
    }
}

#[cfg(test)]
mod tests {
    use temporal_lambda_worker::check::Code;

    /// The end-to-end tests provoke everything that the table lists.
    #[test]
    fn the_page_lists_every_code_with_its_level() {
        let page = include_str!("../../docs/laptop.md");
        let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let known: Vec<_> = Code::ALL.iter().filter(|code| **code != Code::Ok).collect();
        assert_eq!(listed.len(), known.len(), "{listed:#?}");
        for code in known {
            let start = format!("| `{}` | {} | ", code.name(), code.level().name());
            assert!(listed.iter().any(|line| line.starts_with(&start)), "no row {start}");
        }
    }
}
