//! What storing and fetching a payload costs beside the network: throughput and memory of the S3
//! driver by payload size, against a server on loopback that keeps nothing.

use std::convert::Infallible;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use temporal_lambda_benches::{median, millis, print_table};
use temporal_lambda_s3::{
    AwsS3Client, S3StorageDriver, StorageDriver as _, StorageDriverRetrieveContext,
    StorageDriverStoreContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::net::TcpListener;

const KB: usize = 1000;
const SIZES: [usize; 6] = [64 * KB, 256 * KB, 1000 * KB, 5000 * KB, 20_000 * KB, 50_000 * KB];
/// Each size is measured until so much has passed through, but five times at least.
const THROUGH: usize = 100_000 * KB;

fn main() {
    let content = Arc::new(Mutex::new(Bytes::new()));
    let endpoint = serve(content.clone());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let client = AwsS3Client::builder()
        .endpoint(endpoint)
        .region("us-east-1")
        .static_credentials("test", "test", None)
        .build()
        .expect("a client");
    let driver = S3StorageDriver::new(client, "bench").expect("a driver");
    let rows = SIZES.map(|size| runtime.block_on(measure(&driver, &content, size)));
    print_table(
        &["payload", "store ms", "MB/s", "extra memory", "retrieve ms", "MB/s", "extra memory"],
        rows.into(),
    );
}

/// A row of the table.
async fn measure(driver: &S3StorageDriver, served: &Mutex<Bytes>, size: usize) -> Vec<String> {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"binary/plain".to_vec())].into(),
        data: (0..size).map(|i| u8::try_from(i * 31 % 251).expect("it is less")).collect(),
        external_payloads: vec![],
    };
    let rounds = (THROUGH / size).clamp(5, 200);
    let context = StorageDriverStoreContext::default();
    // The server keeps the first one.
    driver.store(&context, vec![payload.clone()]).await.expect("it is stored");
    let stored = Peak::begin();
    let mut stores = Vec::with_capacity(rounds);
    let mut claims = Vec::new();
    for _ in 0..rounds {
        let payloads = vec![payload.clone()];
        let began = Instant::now();
        claims = driver.store(&context, payloads).await.expect("it is stored");
        stores.push(began.elapsed());
    }
    // The clone is the payload that the SDK would have handed over.
    let stored = stored.end().saturating_sub(size);
    let content = served.lock().expect("nobody panics under it").clone();
    assert!(content.len() > size, "the server has what was stored");
    let retrieved = Peak::begin();
    let mut retrieves = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        let context = StorageDriverRetrieveContext::default();
        let back = driver.retrieve(&context, claims.clone()).await.expect("it is read");
        retrieves.push(began.elapsed());
        assert!(back[0] == payload);
    }
    let retrieved = retrieved.end();
    let (store, retrieve) = (median(stores), median(retrieves));
    vec![
        format!("{} kB", size / KB),
        millis(store),
        rate(size, store),
        megabytes(stored),
        millis(retrieve),
        rate(size, retrieve),
        megabytes(retrieved),
    ]
}

/// The most memory that the process has from the beginning to the end, over what it had then.
struct Peak {
    before: usize,
}

impl Peak {
    fn begin() -> Self {
        // Sets the peak to what is in use now.
        fs::write("/proc/self/clear_refs", "5").expect("Linux has it");
        Self { before: memory("VmRSS:") }
    }

    fn end(self) -> usize {
        memory("VmHWM:").saturating_sub(self.before)
    }
}

fn memory(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number");
    kilobytes * 1024
}

#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn rate(size: usize, time: Duration) -> String {
    format!("{:.0}", size as f64 / 1e6 / time.as_secs_f64())
}

#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Serves the object that was stored last, whatever its key.
fn serve(object: Arc<Mutex<Bytes>>) -> String {
    let (address, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            address.send(listener.local_addr().expect("an address")).expect("it is waited for");
            while let Ok((stream, _)) = listener.accept().await {
                let object = object.clone();
                let service = service_fn(move |request| answer(request, object.clone()));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
    format!("http://{}", told.recv().expect("the server starts"))
}

async fn answer(
    request: Request<Incoming>,
    object: Arc<Mutex<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let content = object.lock().expect("nobody panics under it").clone();
        return Ok(Response::new(Full::new(content)));
    }
    let mut body = request.into_body();
    let wanted = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
    let wanted = wanted.unwrap_or_default();
    // Kept once for each size, so that the server's memory is not what is measured.
    let kept = object.lock().expect("nobody panics under it").len();
    let mut content = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref().filter(|_| kept != wanted) {
            content.extend_from_slice(data);
        }
    }
    if kept != wanted {
        *object.lock().expect("nobody panics under it") = content.into();
    }
    Ok(Response::new(Full::default()))
}
