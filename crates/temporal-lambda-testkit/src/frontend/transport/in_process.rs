//! The frontend without a socket.

use std::sync::Arc;

use temporalio_client::{
    ConnectionOptions, Url,
    callback_based::{CallbackBasedGrpcService, GrpcSuccessResponse},
};
use tonic::Status;

use crate::frontend::{
    mock::MockFrontend,
    service::{Answer, Call},
};

impl MockFrontend {
    /// The way in without a socket, for [`ConnectionOptions::service_override`].
    ///
    /// A call that is not answered by its deadline (`grpc-timeout`) ends as on a real channel: as
    /// `CANCELLED` with the message `Timeout expired`.
    pub fn service(&self) -> CallbackBasedGrpcService {
        let frontend = self.clone();
        CallbackBasedGrpcService {
            callback: Arc::new(move |request| {
                let frontend = frontend.clone();
                Box::pin(async move {
                    let cut = frontend.connection();
                    let call = Call::in_process(request);
                    let answer = tokio::select! {
                        // First: a poll on a cut connection must not take a task with it.
                        biased;
                        () = cut.cancelled() => Answer::Cut,
                        answer = frontend.handle(call) => answer?,
                    };
                    match answer {
                        Answer::Message(proto) => {
                            Ok(GrpcSuccessResponse { headers: http::HeaderMap::new(), proto })
                        }
                        Answer::Cut => {
                            Err(Status::unavailable("the connection to the frontend was cut"))
                        }
                    }
                })
            }),
        }
    }

    /// Options for a [`temporalio_client::Connection`] that goes through
    /// [`MockFrontend::service`]. The fields are public: set an API key or an identity on them.
    pub fn connection_options(&self) -> ConnectionOptions {
        // The SDK wants a target even where nothing is dialed.
        let target = Url::parse("http://127.0.0.1:7233").expect("a constant, well-formed URL");
        ConnectionOptions::new(target)
            .service_override(self.service())
            .dns_load_balancing(None)
            .build()
    }
}
