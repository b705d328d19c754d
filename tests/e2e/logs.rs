//! What functions write about themselves.

use std::io::Read as _;

use temporal_lambda_tests::{Answer, Invoked as _, RuntimeApi, World, test_timeout};

use crate::{ENDING, HELLO, PROBE};

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_written_whatever_the_level_says() {
    let world = World::new("levels").await;
    for (variable, value, complains) in [
        ("AWS_LAMBDA_LOG_LEVEL", "none", true),
        ("AWS_LAMBDA_LOG_LEVEL", "Warning", true),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO ", false),
        ("RUST_LOG", "some_crate=debug", false),
        ("RUST_LOG", "off", false),
    ] {
        let name = format!("{}-{}", variable.to_lowercase(), value.trim().to_lowercase());
        let name = name.replace(['_', '='], "-");
        let probe = world
            .config_with_short_idle(&name, PROBE)
            .env("PROBE_CONFIGURE", "fail")
            .env(variable, value);
        let probe = world.add(probe);
        let invocation = probe.invoke("{}").await.unwrap();
        assert_eq!(invocation.error().0, "ConfigureFailed");
        let lines = probe.environments().remove(0).log();
        let log: Vec<_> = lines.into_iter().map(|line| line.text).collect();
        let log = log.join("\n");
        assert!(log.contains("invocation failed"), "{variable}={value}: {log}");
        let said = log.contains("AWS_LAMBDA_LOG_LEVEL");
        assert_eq!(said, complains, "{variable}={value}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_subscriber_that_a_function_has_set_stays_and_gets_the_librarys_lines() {
    let world = World::new("subscriber").await;
    let ending = world.add(world.config_with_short_idle("ending", ENDING));
    ending.invoke("{}").await.unwrap().report();
    let lines = ending.environments().remove(0).log();
    let log: Vec<_> = lines.into_iter().map(|line| line.text).collect();
    // The library's own subscriber writes JSON where stderr is no terminal.
    assert!(log.iter().all(|line| !line.starts_with('{')), "{log:#?}");
    let of_library = |line: &String| line.contains("INFO") && line.contains("temporal_lambda");
    assert!(log.iter().any(of_library), "{log:#?}");
}

/// What a function writes to a terminal, until it has said that its invocation failed, and for which
/// variable.
fn terminal_of(function: &mut tokio::process::Command) -> std::sync::mpsc::Receiver<String> {
    let terminal = nix::pty::openpty(None, None).unwrap();
    function.stderr(std::process::Stdio::from(terminal.slave));
    let mut screen = std::fs::File::from(terminal.master);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        let parts = ["invocation failed", "TEMPORAL_LAMBDA_IDLE_TIMEOUT"];
        while !parts.iter().all(|part| text.contains(part))
            && let Ok(count) = screen.read(&mut buffer)
        {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        let _ = sender.send(text);
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_text_unless_json_is_asked_for() {
    for (format, is_json) in [(None, false), (Some("JSON"), true)] {
        let mut api = RuntimeApi::start().await;
        let format = format.map(|format| ("AWS_LAMBDA_LOG_FORMAT", format));
        let variables = [("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "soon")].into_iter().chain(format);
        let mut function = api.function(HELLO, variables);
        let screen = terminal_of(&mut function);
        let _function = function.spawn().unwrap();
        // The command holds the terminal's other end.
        drop(function);
        api.answer(Answer::event("r-1").deadline(60_000));
        assert_eq!(api.posted().await.kind, "error");
        let text = tokio::task::spawn_blocking(move || screen.recv_timeout(test_timeout()));
        let text = text.await.unwrap().expect("the function writes");
        let line = text.lines().find(|line| line.contains("invocation failed")).unwrap_or_default();
        assert_eq!(line.trim_start().starts_with('{'), is_json, "{text}");
    }
}
