//! `dev --watch` with the real cargo, and a package that is quickly built.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use temporalio_client::{Client, UntypedWorkflowHandle};

use crate::dev::{address, dev, done};
use crate::support::{Running, client, hello, patience, start, without_package_variables};

/// A package that cargo builds within a second: its program becomes the `hello` function.
struct Package(tempfile::TempDir);

impl Package {
    fn new() -> Self {
        let package = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(package.0.path().join("src")).unwrap();
        package
            .write("Cargo.toml", "[package]\nname = \"tiny\"\nedition = \"2024\"\n[workspace]\n");
        // Build scripts such as ring's ask to be run again when such a variable changes.
        package.write(
            "build.rs",
            "use std::io::Write as _;\n\
             fn main() {\n\
                 println!(\"cargo::rerun-if-env-changed=CARGO_PKG_NAME\");\n\
                 let runs = std::fs::File::options().append(true).create(true).open(\"runs\");\n\
                 runs.unwrap().write_all(b\"#\").unwrap();\n\
             }\n",
        );
        package.becomes("one");
        package
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::write(self.folder().join(file), content).unwrap();
    }

    /// Changes the program's source.
    fn becomes(&self, edition: &str) {
        let source = format!(
            "use std::os::unix::process::CommandExt as _;\n\
             fn main() {{\n\
                 eprintln!(\"edition {edition}\");\n\
                 panic!(\"{{}}\", std::process::Command::new({:?}).exec());\n\
             }}\n",
            hello()
        );
        self.write("src/main.rs", &source);
    }

    /// How often its build script ran.
    fn runs(&self) -> u64 {
        self.folder().join("runs").metadata().unwrap().len()
    }
}

/// The build ID that a workflow ran on last.
async fn build_id(workflow: &UntypedWorkflowHandle<Client>) -> String {
    let described = workflow.describe(Default::default()).await.unwrap();
    let info = described.raw().workflow_execution_info.clone().unwrap();
    let version = info.versioning_info.and_then(|it| it.deployment_version);
    version.map(|it| it.build_id).unwrap_or_default()
}

#[tokio::test]
async fn a_change_makes_a_version_and_pinned_workflows_stay_on_theirs() {
    let package = Package::new();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without_package_variables(&mut cargo).env_remove("CARGO_TARGET_DIR");
    assert!(cargo.arg("build").current_dir(package.folder()).status().unwrap().success());

    let mut command = dev("hello");
    command.args(["--port", "0", "--watch", "--bin", "tiny"]).current_dir(package.folder());
    command.env("CARGO_PKG_NAME", "another").env_remove("CARGO_TARGET_DIR");
    let dev = Running::start(&mut command);
    let address = address(&dev.line("server at"));
    dev.line("edition one");
    dev.line("hello:dev-1 is current");
    assert_eq!(package.runs(), 1, "the package was built anew");
    let client = client(&address).await;
    let old = start(&client, "SleepWorkflow", "old", &8000_u64).await;
    // It is pinned once its first task is done.
    let pinned = async {
        while build_id(&old).await != "dev-1" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let pinned = tokio::time::timeout(patience(), pinned).await;
    pinned.expect("the workflow to be on version dev-1");

    package.write("src/main.rs", "fn main() {");
    dev.line("cargo could not build binary tiny");
    package.becomes("two");
    dev.line("edition two");
    dev.line("hello:dev-2 is current");
    let new = start(&client, "HelloWorkflow", "new", &"dev".to_owned()).await;
    done(&new).await;
    done(&old).await;
    assert_eq!(build_id(&old).await, "dev-1");
    assert_eq!(build_id(&new).await, "dev-2");
}
