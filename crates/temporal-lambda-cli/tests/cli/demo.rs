use std::time::{Duration, Instant};

use crate::support::{Running, command, exists, text};

#[test]
fn the_demo_completes_every_workflow() {
    let mut demo = Running::start(command().arg("demo"));
    // Cargo comes first, and takes as long as it takes.
    demo.line_after("a real Temporal server", Duration::from_secs(1800));
    let began = Instant::now();
    demo.line("demo: 20 workflows started, 20 completed");
    let status = demo.ended();
    let took = began.elapsed();
    let said = demo.seen();
    assert!(status.success(), "{said}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    for told in ["ColdStart -> Configuring", "Healthy -> Configuring", "back to zero", "1 warm"] {
        assert!(said.contains(told), "no {told:?} in\n{said}");
    }
    assert!(!said.contains('\x1b'), "colours where there is no terminal");
    let functions = said.lines().filter_map(|line| line.split_once("cold start: process "));
    for (_, pid) in functions {
        assert!(!exists(pid.parse().unwrap()), "{pid} is left");
    }
}

/// A function that answers nothing cannot complete anything.
#[test]
fn a_function_that_does_not_work_fails_the_demo() {
    let output = command().args(["demo", "--function", "/bin/false"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}
