//! One real S3 API (moto's) for all tests of this process; each test has a bucket of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tools;

/// The server. It ends when this process does: it waits for the end of its standard input.
struct Server {
    address: String,
    _child: Child,
    _stdin: ChildStdin,
}

fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tools::python();
        let mut child = Command::new(folder.join("venv/bin/python"))
            .arg(folder.join("s3_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut port = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut port).expect("a line");
        let stdin = child.stdin.take().expect("it is piped");
        let address = format!("127.0.0.1:{}", port.trim());
        assert!(port.trim().parse::<u16>().is_ok(), "the S3 server said {port:?}");
        Server { address, _child: child, _stdin: stdin }
    })
}

/// `127.0.0.1:<port>`.
pub(crate) async fn address() -> String {
    let address = tokio::task::spawn_blocking(|| shared().address.clone());
    address.await.expect("the S3 server starts")
}

/// A bucket of the shared server.
pub(crate) struct TestBucket {
    pub(crate) name: String,
    address: String,
}

impl TestBucket {
    /// A new bucket whose name begins with `name`.
    pub(crate) async fn new(name: &str) -> Self {
        let bucket = Self::missing(name).await;
        bucket.make().await;
        bucket
    }

    /// A bucket that is not there yet.
    pub(crate) async fn missing(name: &str) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self { name: format!("{name}-{}", &id[..8]), address: address().await }
    }

    /// Makes it.
    pub(crate) async fn make(&self) {
        let (status, body) = self.request("PUT", "", "").await;
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The keys in it, sorted.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let (status, body) = self.request("GET", "?list-type=2", "").await;
        assert_eq!(status, 200, "{body}");
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        let unescaped = keys.map(|key| key.replace("&#39;", "'").replace("&amp;", "&"));
        let mut keys: Vec<_> = unescaped.collect();
        keys.sort();
        keys
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, key: &str) {
        let escaped = key.replace('%', "%25");
        let (status, body) = self.request("DELETE", &format!("/{escaped}"), "").await;
        assert_eq!(status, 204, "{body}");
    }

    /// Puts something else in an object's place.
    pub(crate) async fn replace(&self, key: &str, content: &str) {
        let escaped = key.replace('%', "%25");
        let (status, body) = self.request("PUT", &format!("/{escaped}"), content).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn request(&self, method: &str, rest: &str, content: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).await.expect("the S3 server answers");
        // Moto looks whether a request is signed, and not how.
        let request = format!(
            "{method} /{}{rest} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n{content}",
            self.name,
            self.address,
            content.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (status.unwrap_or_else(|| panic!("no answer: {answer}")), body.to_owned())
    }
}
