//! AWS's API as somebody else emulates it: moto, from PyPI at the version that the S3 tests pin.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{run, text};

const REQUIREMENTS: &str = include_str!("../../../../../tests/s3/peers/python/requirements.txt");
const SERVER: &str = include_str!("../../../../../tests/s3/peers/python/s3_server.py");
/// Signed by nobody: moto looks who calls which service, and checks nothing more unless it is told to.
const CALLER: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1";

/// A server with all of AWS that moto has. It ends when its standard input does.
pub(super) struct Moto {
    address: String,
    child: Child,
}

/// Somebody with an access key.
pub(super) struct User {
    pub(super) key_id: String,
    pub(super) secret: String,
}

impl Moto {
    pub(super) fn start() -> Self {
        let folder = python();
        let mut child = Command::new(folder.join("venv/bin/python"))
            .arg(folder.join("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let moto = Self { address: format!("127.0.0.1:{}", port.trim()), child };
        // It would run functions in Docker.
        moto.call(
            "POST /moto-api/config",
            "application/json",
            r#"{"lambda": {"use_docker": false}}"#,
        );
        moto
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A role that a function can have: its ARN.
    pub(super) fn role(&self, name: &str) -> String {
        let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"}}]}"#;
        let policy =
            percent_encoding::utf8_percent_encode(policy, percent_encoding::NON_ALPHANUMERIC);
        let made =
            self.iam(&format!("CreateRole&RoleName={name}&AssumeRolePolicyDocument={policy}"));
        element(&made, "Arn")
    }

    /// A user who may do nothing.
    pub(super) fn user(&self, name: &str) -> User {
        self.iam(&format!("CreateUser&UserName={name}"));
        let made = self.iam(&format!("CreateAccessKey&UserName={name}"));
        User { key_id: element(&made, "AccessKeyId"), secret: element(&made, "SecretAccessKey") }
    }

    /// From now on permissions and signatures are checked.
    pub(super) fn checks_permissions(&self) {
        self.call("POST /moto-api/reset-auth", "text/plain", "0");
    }

    pub(super) fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.call(&format!("GET {path}"), "application/json", "")).unwrap()
    }

    fn iam(&self, action: &str) -> String {
        let form = format!("Action={action}&Version=2010-05-08");
        self.call("POST /", "application/x-www-form-urlencoded", &form)
    }

    fn call(&self, line: &str, kind: &str, body: &str) -> String {
        let service = if line == "POST /" { "iam" } else { "lambda" };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: \
             {CALLER}/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{line}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn element(xml: &str, name: &str) -> String {
    let (_, after) = xml.split_once(&format!("<{name}>")).unwrap();
    after.split_once("</").unwrap().0.to_owned()
}

/// The folder with moto, brought by whoever is the first to need it.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let complete = folder.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|it| it == REQUIREMENTS) {
        return folder;
    }
    let requirements = folder.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).unwrap();
    std::fs::write(folder.join("server.py"), SERVER).unwrap();
    succeeds(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
    let mut pip = Command::new(folder.join("venv/bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    succeeds(pip.args(["--no-deps", "--requirement"]).arg(requirements));
    std::fs::write(complete, REQUIREMENTS).unwrap();
    folder
}

fn succeeds(command: &mut Command) {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

/// By the API's models, which come with moto.
#[test]
fn the_aws_commands_in_the_guide_are_calls_that_aws_has() {
    let page = "../temporal-lambda-worker/src/docs/deploying.md";
    let page = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut look = Command::new(python().join("venv/bin/python"));
    let output = run(look.args(["-c", include_str!("aws_commands.py")]).stdin(page));
    assert!(output.status.success(), "{}", text(&output));
    let looked_at: usize = text(&output).trim().parse().unwrap();
    assert!(looked_at > 10, "{looked_at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_understands_the_calls_of_a_deployment_and_none_is_made_twice() {
    use super::cloud::Cloud;
    use temporal_lambda_test_timing::TimeLimit;

    let limit = TimeLimit::of_this_test();
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let cloud = Cloud::at(limit, &moto.endpoint()).await;
    let package = cloud.package("moto");
    let role = moto.role("hello");
    let deploy = |more: &[&str]| {
        let mut command = cloud.deploy("hello", &package);
        command.args(["--role", &role, "--log-retention", "14", "--reserved-concurrency", "5"]);
        command.args(["--first-poll", "1s"]).args(more);
        command
    };
    // Moto runs no function, so that nothing polls.
    let told = cloud.fails(deploy(&[])).await;
    assert!(told.contains("no worker polled as hello:1"), "{told}");
    let version = moto.get("/2015-03-31/functions/hello/configuration?Qualifier=1");
    for (name, value) in [
        ("Runtime", json!("provided.al2023")),
        ("Handler", json!("bootstrap")),
        ("MemorySize", json!(256)),
        ("Timeout", json!(60)),
        ("Role", json!(role)),
    ] {
        assert_eq!(version[name], value, "{name}");
    }
    let function = moto.get("/2015-03-31/functions/hello");
    assert_eq!(function["Concurrency"]["ReservedConcurrentExecutions"], 5);
    let events = moto.get("/2019-09-25/functions/hello/event-invoke-config?Qualifier=1");
    assert_eq!(events["MaximumRetryAttempts"], 0);

    let told = cloud.succeeds(deploy(&["--dry-run"])).await;
    assert!(told.contains("3 steps") && told.contains("invoke hello:1"), "{told}");
    let told = cloud.fails(deploy(&["--memory", "512"])).await;
    assert!(told.contains("change hello: 512 MB"), "{told}");
    assert!(told.contains("no worker polled as hello:2"), "{told}");
    let told = cloud.succeeds(deploy(&["--dry-run"])).await;
    assert!(told.contains("3 steps") && told.contains("invoke hello:2"), "{told}");

    let user = moto.user("ada");
    moto.checks_permissions();
    let mut denied = deploy(&["--dry-run"]);
    denied.env("AWS_ACCESS_KEY_ID", &user.key_id).env("AWS_SECRET_ACCESS_KEY", &user.secret);
    let told = cloud.fails(denied).await;
    assert!(told.contains("AWS denies"), "{told}");
    assert!(!told.contains(&user.secret), "{told}");

    // With a profile it is the `aws` program that knows the keys, whatever the environment has.
    let of_profile = |aws: Option<&str>| {
        let programs = tempfile::tempdir().unwrap();
        if let Some(aws) = aws {
            write_program(&programs.path().join("aws"), aws);
        }
        let mut command = deploy(&["--dry-run", "--profile", "ops"]);
        command.env("PATH", programs.path());
        (command, programs)
    };
    let (key_id, secret) = (&user.key_id, &user.secret);
    let asked = "configure export-credentials --format process --profile ops";
    let keys = json!({ "Version": 1, "AccessKeyId": key_id, "SecretAccessKey": secret });
    let expired = "The SSO session associated with this profile has expired";
    for (aws, says) in [
        (Some(format!("test \"$*\" = '{asked}' && echo '{keys}'")), "AWS denies"),
        (Some(format!("echo '{expired}' >&2; exit 255")), expired),
        (Some("exit 255".to_owned()), "aws sso login"),
        (Some(format!("echo 'keys: {secret}'")), "needs version 2"),
        (None, "cannot be run"),
    ] {
        let (command, _programs) = of_profile(aws.as_deref());
        let told = cloud.fails(command).await;
        assert!(told.contains(says) && !told.contains(secret), "{says}: {told}");
        assert_eq!(told.contains("user/ada"), says == "AWS denies", "{told}");
    }
}

fn write_program(file: &Path, lines: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::write(file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}
