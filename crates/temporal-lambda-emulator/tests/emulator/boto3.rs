//! AWS's API, called by AWS's own client for Python, brought from PyPI into a folder under `target/`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use temporal_lambda_emulator::LambdaEmulator;
use temporal_lambda_test_timing::TimeLimit;

use crate::package::says;

const BOTO3: &str = "boto3==1.40.61";

#[tokio::test(flavor = "multi_thread")]
async fn boto3_deploys_and_invokes() {
    let python = tokio::task::spawn_blocking(brought).await.unwrap();
    let _limit = TimeLimit::of_this_test();
    let lambda = LambdaEmulator::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = |word: &str| {
        let path = folder.path().join(word);
        std::fs::write(&path, BASE64_STANDARD.decode(says(word)).unwrap()).unwrap();
        path
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulator/boto3.py");
    let mut command = tokio::process::Command::new(python);
    // Isolated, so that the script's own name does not hide the module.
    command.arg("-I").arg(script).arg(lambda.endpoint_url()).args([package("one"), package("two")]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The Python that has boto3. One process at a time brings it.
fn brought() -> PathBuf {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tools).unwrap();
    let lock = File::create(tools.join("boto3.lock")).unwrap();
    lock.lock().unwrap();
    let (folder, complete) = (tools.join("boto3"), tools.join("boto3.complete"));
    let python = folder.join("bin/python");
    if std::fs::read_to_string(&complete).is_ok_and(|text| text == BOTO3) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", BOTO3];
    run(Command::new(&python).args(pip));
    std::fs::write(complete, BOTO3).unwrap();
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
}
