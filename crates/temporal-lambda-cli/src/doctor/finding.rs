//! Findings, and how they are told.

use serde::Serialize;

use super::code::{Code, Level};
use super::settings::{Setting, Settings};
use crate::show::paint;

/// One thing that was found out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    pub(super) code: Code,
    pub(super) level: Level,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::found(check, Code::Ok, message)
    }

    pub(super) fn found(check: &'static str, code: Code, message: impl Into<String>) -> Self {
        Self { check, code, level: code.level(), message: message.into(), advice: None }
    }

    /// What to do about it.
    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Everything that was found out.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) settings: Vec<Setting>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// The settings were understood.
    pub(super) fn settled(&mut self, settings: &Settings) {
        let buffer = settings.buffer;
        let idle = settings.idle_timeout.map_or_else(
            || "no idle timeout: it polls until the deadline nears".to_owned(),
            |idle| format!("idle timeout {idle:?}"),
        );
        self.findings.push(Finding::ok(
            "settings",
            format!(
                "server {}, namespace {}, task queue {}, shutdown buffer {buffer:?}, {idle}",
                settings.connection.target,
                settings.namespace,
                settings.task_queue.as_deref().unwrap_or("set in code"),
            ),
        ));
        let behavior = settings.versioning_behavior.as_deref().unwrap_or("as each says itself");
        self.findings
            .push(Finding::ok("versioning", format!("workflows are {behavior} by default")));
    }

    /// Whether nothing stops the function from working.
    pub(super) fn ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.level != Level::Stop)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "ok": self.ok(), "settings": self.settings, "findings": self.findings,
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
            let mark = match finding.level {
                Level::Ok => paint::green("ok     "),
                Level::Hint => paint::cyan("hint   "),
                Level::Warning => paint::yellow("warning"),
                Level::Stop => paint::red("STOP   "),
            };
            let code = if finding.level == Level::Ok {
                String::new()
            } else {
                format!(" [{}]", finding.code.text())
            };
            println!("  {mark} {:<12} {}{code}", finding.check, finding.message);
            if let Some(advice) = &finding.advice {
                println!("  {:<20} -> {advice}", "");
            }
        }
        let stops = self.findings.iter().filter(|it| it.level == Level::Stop).count();
        let verdict = match stops {
            0 => paint::green("doctor: nothing stops this function from working"),
            1 => paint::red("doctor: 1 finding stops this function from working"),
            more => paint::red(format!("doctor: {more} findings stop this function from working")),
        };
        println!("{verdict}");
    }
}
