//! A gRPC client that keeps no deadlines of its own: what a server makes of them is what it answers.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use temporalio_client::tonic::{Code, Status};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::{net::TcpStream, time::Instant};

use crate::TEST_TIMEOUT;

const SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";

/// A connection to a frontend.
pub(crate) struct Raw {
    address: String,
    sender: SendRequest<Full<bytes::Bytes>>,
}

impl Raw {
    /// Connects to `127.0.0.1:<port>`, and waits until the namespace `default` is there.
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
        tokio::spawn(connection);
        let raw = Self { address: address.to_owned(), sender };
        let began = Instant::now();
        loop {
            let request =
                DescribeNamespaceRequest { namespace: "default".to_owned(), ..Default::default() };
            match raw.call::<()>("DescribeNamespace", Some("5S"), request).await {
                Ok(()) => return raw,
                Err(error) => assert!(began.elapsed() < TEST_TIMEOUT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Calls an RPC with this `grpc-timeout`.
    pub(crate) async fn call<R: Message + Default>(
        &self,
        rpc: &str,
        timeout: Option<&str>,
        request: impl Message,
    ) -> Result<R, Status> {
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
        let frame = [&[0], &length[..], &message[..]].concat();
        let mut request = hyper::Request::post(format!("http://{}/{SERVICE}/{rpc}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let request = request.body(Full::from(frame)).expect("a good request");
        let response = self.sender.clone().send_request(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer");
        let status = body.trailers().and_then(Status::from_header_map);
        let status = status.or_else(|| Status::from_header_map(&head.headers));
        let status = status.expect("each answer has a status");
        if status.code() != Code::Ok {
            return Err(status);
        }
        let body = body.to_bytes();
        Ok(R::decode(&body[5..]).expect("a message of that type"))
    }
}
