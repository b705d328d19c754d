//! `cargo lambda watch` and `cargo lambda invoke`.
//!
//! The deadline of an event is `600000` whatever the timeout, and the ARN `function-arn`. A function
//! is not frozen between events.

use serde_json::Value;
use temporal_lambda_test_timing::within;
use tokio::process::Command;

use crate::process::Process;
use crate::{Elsewhere, HELLO, tools};

/// The name of the function: that of its package.
const FUNCTION: &str = "hello";

/// A package whose program becomes the hello example, so that there is next to nothing to compile.
fn write_package(elsewhere: &Elsewhere) {
    let folder = elsewhere.folder();
    std::fs::create_dir(folder.join("src")).unwrap();
    let manifest = format!("[package]\nname = \"{FUNCTION}\"\nedition = \"2024\"\n[workspace]\n");
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let source = format!(
        "use std::os::unix::process::CommandExt as _;\n\
         fn main() {{\n\
             panic!(\"{{}}\", std::process::Command::new({HELLO:?}).exec());\n\
         }}\n"
    );
    std::fs::write(folder.join("src/main.rs"), source).unwrap();
}

/// cargo-lambda in the package's folder.
fn cargo_lambda(elsewhere: &Elsewhere) -> Command {
    let mut command = Command::new(tools::cargo_lambda());
    command.arg("lambda").current_dir(elsewhere.folder());
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"CARGO_") && name != "CARGO_HOME" || bytes.starts_with(b"TEMPORAL_") {
            command.env_remove(name);
        }
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_serves_workflows_through_cargo_lambda_watch() {
    let elsewhere = Elsewhere::new("cargo-lambda").await;
    write_package(&elsewhere);
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let at = ["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()];

    let mut watch = cargo_lambda(&elsewhere);
    watch.args(["watch", "--ignore-changes"]).args(at).envs(elsewhere.variables());
    let watch = Process::start(&mut watch);
    let listening = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within("cargo lambda watch to listen", listening).await;

    let invoke = async || -> Value {
        let mut invoke = cargo_lambda(&elsewhere);
        invoke.args(["invoke", FUNCTION, "--data-ascii", "{}"]).args(at);
        let output = within("cargo lambda invoke", invoke.output()).await.unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("{error}: {stdout}{stderr}\nthe emulator wrote:\n{}", watch.seen())
        })
    };
    elsewhere.is_served(invoke).await;
}
