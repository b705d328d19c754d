//! The README's quickstart, and the Temporal CLI's commands in the guide.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use temporal_lambda_test_timing::TimeLimit;
use temporal_lambda_testkit::server::DevServer;

use crate::dev::address;
use crate::packages;
use crate::support::{Running, command, run, target_folder, text, without_package_variables};

/// How long cargo may take for the function: half of its dependencies have other features than here.
const BUILD: Duration = Duration::from_secs(1800);

pub(crate) fn file(path: &str) -> String {
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

/// In a fresh folder, with nothing but the README's commands and the packages that would be published. The
/// command itself is the one that was built here: it stands for `cargo install`, and its package has the same sources.
#[tokio::test]
async fn the_quickstarts_commands_run_a_workflow_as_shown() {
    let limit = TimeLimit::of(BUILD + Duration::from_secs(300));
    let folder = tempfile::tempdir().unwrap();
    packages::patched_into(folder.path());
    let install = block("install");
    let (_, new) = install.trim().split_once('\n').unwrap();
    assert_eq!(new, "cargo new hello && cd hello");
    let created = run(without_package_variables(
        Command::new("sh").args(["-c", new]).current_dir(&folder).stdin(Stdio::null()),
    ));
    assert!(created.status.success(), "{}", text(&created));
    let hello = folder.path().join("hello");
    std::fs::write(hello.join("Cargo.toml"), block("Cargo.toml")).unwrap();
    std::fs::write(hello.join("src/main.rs"), block("main.rs")).unwrap();
    // The versions that everything here was built with, so that most of it need not be built again.
    std::fs::write(hello.join("Cargo.lock"), file("Cargo.lock")).unwrap();

    assert_eq!(block("dev").trim(), "temporal-lambda dev --bin hello");
    let mut command = command();
    command.args(["dev", "--bin", "hello"]).current_dir(&hello);
    command.env("CARGO_TARGET_DIR", folder.path().join("target"));
    command.env("CARGO_BUILD_BUILD_DIR", target_folder());
    let mut dev = Running::start_within(limit, &mut command);
    let address = address(&dev.line_after("server at", BUILD));
    dev.times("hello:dev is current", 1);
    dev.times("frozen", 1);

    let server = DevServer::start().await.unwrap();
    symlink(server.cli_path(), folder.path().join("temporal")).unwrap();
    server.stop().await;
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
    drop(dev);
    deployed_as_shown(&hello, folder.path());
}

/// The README's two commands that deploy, at ports that are free.
fn deployed_as_shown(hello: &Path, folder: &Path) {
    assert_eq!(block("cloud").trim(), "temporal-lambda cloud");
    let limit = TimeLimit::of(BUILD + Duration::from_secs(300));
    let mut cloud = command();
    cloud.args(["cloud", "--port", "0", "--lambda-port", "0"]);
    let mut cloud = Running::start_within(limit, &mut cloud);
    let after = |line: String, mark: &str| line.split_once(mark).unwrap().1.to_owned();
    let address = after(cloud.line("server at "), "server at ");
    let endpoint = after(cloud.line("endpoint "), "endpoint ");

    assert_eq!(block("deploy").trim(), "temporal-lambda deploy --endpoint local");
    let mut deploy = command();
    deploy.args(["deploy", "--endpoint", &endpoint]).current_dir(hello);
    deploy.env("TEMPORAL_ADDRESS", address);
    deploy.env("CARGO_TARGET_DIR", folder.join("target"));
    deploy.env("CARGO_BUILD_BUILD_DIR", target_folder());
    let told = deploy.output().unwrap();
    assert!(told.status.success(), "{}", text(&told));
    assert!(text(&told).contains("hello:1 is current"), "{}", text(&told));
    assert!(cloud.interrupt().success());
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
