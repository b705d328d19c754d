use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;

use crate::support::{Running, command, exists, run, text};

/// Where the command is all there is: no checkout, no cargo.
#[test]
fn the_demo_completes_every_workflow_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command();
    command.arg("demo").current_dir(&folder).env("CARGO", "/bin/false");
    let limit = TimeLimit::of(Duration::from_secs(300));
    let mut demo = Running::start_within(limit, &mut command);
    demo.line("demo: 20 workflows started, 20 completed");
    let status = demo.ended();
    let said = demo.seen();
    assert!(status.success(), "{said}");
    for told in ["ColdStart -> Configuring", "Healthy -> Configuring", "back to zero"] {
        assert!(said.contains(told), "no {told:?} in\n{said}");
    }
    // "1 cold", or "1 cold, 1 warm" where a busy machine is late with a task, so that the server calls once more.
    let invoked = |phase: &str| {
        said.lines().find_map(|line| line.strip_prefix(&format!(" {phase} "))).unwrap()
    };
    assert!(invoked("cold").contains(" cold"), "{said}");
    assert!(invoked("warm").contains(" warm"), "{said}");
    assert!(!said.contains('\x1b'), "colours where there is no terminal");
    let functions = said.lines().filter_map(|line| line.split_once("cold start: process "));
    for (_, pid) in functions {
        assert!(!exists(pid.parse().unwrap()), "{pid} is left");
    }
}

/// A function that answers nothing cannot complete anything.
#[test]
fn a_function_that_does_not_work_fails_the_demo() {
    let output = run(command().args(["demo", "--function", "/bin/false"]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}
