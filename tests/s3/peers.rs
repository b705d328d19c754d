//! The other SDKs as child processes.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use temporal_lambda_tests::server;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::s3_server::TestBucket;
use crate::scene::{ACCESS_KEY, REGION, SECRET, TOKEN};
use crate::tools;

/// Far longer than a peer takes for anything, on a busy machine, too.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// One of the other SDKs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Python,
    TypeScript,
}

/// A peer that runs. Dropping it ends it.
pub(crate) struct Running {
    peer: Peer,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    async fn command(self) -> Command {
        let path = tokio::task::spawn_blocking(move || match self {
            Self::Python => tools::python(),
            Self::TypeScript => tools::typescript(),
        });
        let folder = path.await.expect("it is brought");
        let mut command = match self {
            Self::Python => Command::new(folder.join("venv/bin/python")),
            Self::TypeScript => Command::new("node"),
        };
        command.arg(folder.join(match self {
            Self::Python => "peer.py",
            Self::TypeScript => "peer.js",
        }));
        command.current_dir(folder);
        command
    }

    /// Starts it, with this command.
    pub(crate) async fn run(self, bucket: &TestBucket, arguments: &[&str]) -> Running {
        let mut child = self
            .command()
            .await
            .args(arguments)
            .env("PEER_TEMPORAL_ADDRESS", server::shared().address())
            .env("PEER_S3_ENDPOINT", bucket.endpoint())
            .env("PEER_BUCKET", &bucket.name)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_SESSION_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{self:?} cannot be run: {error}"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        Running { peer: self, child, stdin, lines: BufReader::new(stdout).lines() }
    }

    /// What it answers to a question that is asked on its standard input.
    pub(crate) async fn ask(self, bucket: &TestBucket, command: &str, question: &Value) -> Value {
        let mut running = self.run(bucket, &[command]).await;
        let mut stdin = running.stdin.take().expect("it is piped");
        stdin.write_all(question.to_string().as_bytes()).await.expect("it reads");
        drop(stdin);
        let answer = running.line().await;
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{self:?} said {answer}"))
    }
}

impl Running {
    /// Its next line.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(ANSWER_TIMEOUT, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{:?} says nothing", self.peer));
        match line.expect("its output can be read") {
            Some(line) => line,
            None => panic!("{:?} ended with {:?}", self.peer, self.child.wait().await),
        }
    }

    /// Waits until it says `word`.
    pub(crate) async fn until(&mut self, word: &str) {
        while self.line().await != word {}
    }

    /// Tells it to end, and waits for that.
    pub(crate) async fn end(mut self) {
        drop(self.stdin.take());
        let ended = tokio::time::timeout(ANSWER_TIMEOUT, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{:?} does not end", self.peer));
        let status = status.expect("it can be waited for");
        assert!(status.success(), "{:?}: {status}", self.peer);
    }
}
