use std::time::{Duration, Instant};

use crate::support::{command, hello, text};

/// It builds the function itself, which [`hello`] has done before, so that the time is its own.
#[test]
fn the_demo_completes_every_workflow() {
    hello();
    let began = Instant::now();
    let output = command().arg("demo").output().unwrap();
    let took = began.elapsed();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\ndemo: 20 workflows started, 20 completed\n"), "{said}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    for told in ["ColdStart -> Configuring", "Healthy -> Configuring", "back to zero", "1 warm"] {
        assert!(said.contains(told), "no {told:?} in\n{said}");
    }
    assert!(!said.contains('\x1b'), "colours where there is no terminal");
}

/// A function that answers nothing cannot complete anything.
#[test]
fn a_function_that_does_not_work_fails_the_demo() {
    let output = command().args(["demo", "--function", "/bin/false"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}
