//! The README's quickstart, and the Temporal CLI's commands in the guide.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use temporal_lambda_testkit::server::DevServer;

use crate::dev::address;
use crate::support::{Running, command, example, run, text};

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README's block under this marker.
fn block(marker: &str) -> String {
    let readme = file("README.md");
    let (_, after) = readme.split_once(&format!("<!-- quickstart: {marker} -->\n```")).unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    after.split_once("```\n").unwrap().0.to_owned()
}

/// A line without what differs from run to run: numbers, request IDs, and how far things are apart.
fn constant(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        if word.len() == 8 && word.chars().all(|it| it.is_ascii_hexdigit()) {
            return "ID".to_owned();
        }
        let numbers = word.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty());
        numbers.fold(word.to_owned(), |word, number| word.replacen(number, "#", 1))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn assert_shows(output: &str, shown: &str) {
    let lines: Vec<_> = output.lines().map(constant).collect();
    for line in shown.lines() {
        assert!(lines.contains(&constant(line)), "{line:?} is not in\n{output}");
    }
}

#[test]
fn the_quickstarts_function_is_the_example_of_that_name() {
    assert_eq!(block("main.rs"), file("examples/quickstart/main.rs"));
}

#[test]
fn the_quickstarts_dependencies_are_those_of_the_workspace() {
    let manifest: toml::Table = block("Cargo.toml").parse().unwrap();
    let workspace: toml::Table = file("Cargo.toml").parse().unwrap();
    let known = &workspace["workspace"]["dependencies"];
    let version = |it: &toml::Value| {
        it.as_str().or_else(|| it.get("version")?.as_str()).map(str::to_owned).unwrap()
    };
    for (name, wanted) in manifest["dependencies"].as_table().unwrap() {
        let known = known.get(name).unwrap_or_else(|| panic!("{name}"));
        assert!(version(known).starts_with(&version(wanted)), "{name}: {known}");
        let features = |it: &toml::Value| it.get("default-features").and_then(toml::Value::as_bool);
        assert_eq!(features(wanted), features(known), "the default features of {name}");
    }
}

/// The function is compiled as the example `quickstart`; as a package of its own it would bring another
/// build of the SDK.
#[tokio::test]
async fn the_quickstarts_commands_run_a_workflow_as_shown() {
    let server = DevServer::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(server.cli_path(), folder.path().join("temporal")).unwrap();
    let hello = folder.path().join("hello");
    symlink(example("quickstart"), &hello).unwrap();
    server.stop().await;

    assert_eq!(block("dev").trim(), "temporal-lambda dev --bin hello");
    let mut dev = Running::start(command().args(["dev", "--port", "0", "--"]).arg(&hello));
    let address = address(&dev.line("server at"));
    dev.times("hello:dev is current", 1);
    dev.times("frozen", 1);

    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(block("workflow")).env("PATH", path).env("TEMPORAL_ADDRESS", address);
    let output = run(&mut shell);
    assert!(output.status.success(), "{}", text(&output));
    assert_shows(&text(&output), &block("workflow output"));
    dev.times("1 workflow task", 1);
    dev.times("frozen", 2);
    assert_shows(&dev.seen(), &block("dev output"));
    assert!(dev.interrupt().success());
}

/// The commands of the Temporal CLI in a page, each in one line.
fn temporal_commands(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let lines = page.lines().map(str::trim).filter(|line| line.starts_with("temporal "));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_temporal_commands_in_the_guide_have_flags_that_the_cli_knows() {
    let server = DevServer::start().await.unwrap();
    let chapter = file("crates/temporal-lambda-worker/src/docs/deploying.md");
    let commands = temporal_commands(&chapter);
    assert!(commands.len() > 5, "{commands:?}");
    for line in commands {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        let path: Vec<_> = words.iter().take_while(|it| !it.starts_with('-')).collect();
        let help = text(&run(Command::new(server.cli_path()).args(path).arg("--help")));
        for flag in words.iter().filter(|it| it.starts_with("--")) {
            let known = help.split_whitespace().any(|word| word == *flag);
            assert!(known, "{line}\nhas {flag}, but the CLI says\n{help}");
        }
    }
    server.stop().await;
}
