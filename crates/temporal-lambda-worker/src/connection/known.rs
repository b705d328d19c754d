//! The facts that are known of a server, and since when.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use temporalio_client::ConnectionOptions;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceResponse, GetSystemInfoResponse,
};
use tokio::time::Instant;

/// For how long a server that has refused a call because there were too many is expected to do so again: 60 s.
const THROTTLED_FOR: Duration = Duration::from_secs(60);

/// For how long a server that has answered is taken to be there still, so that the next invocation does not ask whether it is:
/// 5 s, far less than the 350 s after which AWS's NAT gateways forget a silent connection.
const FRESH: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) info: Option<GetSystemInfoResponse>,
    pub(crate) namespaces: HashMap<String, DescribeNamespaceResponse>,
    /// When the server last refused a call because there were too many.
    throttled: Option<Instant>,
    /// `None`: the server has taken no credentials yet, or there was reason to doubt it since.
    answered: Option<Answered>,
}

/// The server's last answer.
struct Answered {
    at: Instant,
    /// By wall clock: the monotonic clock may stand still while the environment is frozen.
    wall: SystemTime,
    /// The credentials that the server has taken last.
    credentials: Credentials,
}

/// A hash of what a server knows its caller by.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Credentials(u64);

impl Credentials {
    pub(super) fn of(options: &ConnectionOptions) -> Self {
        let mut hasher = DefaultHasher::new();
        let headers = options.headers.iter().flatten().collect::<BTreeMap<_, _>>();
        let binary = options.binary_headers.iter().flatten().collect::<BTreeMap<_, _>>();
        (&options.api_key, headers, binary).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Known {
    /// The server has taken these credentials, and described itself.
    pub(super) fn takes(&mut self, credentials: Credentials, info: GetSystemInfoResponse) {
        self.info = Some(info);
        self.answered = Some(Answered { at: Instant::now(), wall: SystemTime::now(), credentials });
    }

    /// The server has answered a call.
    pub(super) fn answers(&mut self) {
        if let Some(answered) = &mut self.answered {
            (answered.at, answered.wall) = (Instant::now(), SystemTime::now());
        }
    }

    /// The server has left a call unanswered, or has not taken its credentials.
    pub(super) fn is_in_doubt(&mut self) {
        self.answered = None;
    }

    /// The server has refused a call because there were too many.
    pub(super) fn throttles(&mut self) {
        self.throttled = Some(Instant::now());
    }

    /// Whether the server has refused a call because there were too many within [`THROTTLED_FOR`].
    pub(super) fn is_throttling(&self) -> bool {
        self.throttled.is_some_and(|last| last.elapsed() < THROTTLED_FOR)
    }

    /// The server's description of itself, if it has answered within [`FRESH`] and has taken these credentials last.
    pub(super) fn fresh_info(&self, credentials: Credentials) -> Option<GetSystemInfoResponse> {
        let answered = self.answered.as_ref().filter(|it| it.credentials == credentials)?;
        let fresh = is_fresh(answered.at.elapsed(), answered.wall.elapsed().ok());
        self.info.clone().filter(|_| fresh)
    }
}

/// Whether an answer is recent by both clocks. `None`: the wall clock was set back.
fn is_fresh(ago: Duration, by_wall: Option<Duration>) -> bool {
    ago < FRESH && by_wall.is_some_and(|ago| ago < FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_only_if_both_clocks_say_so() {
        // README and guide say 5 s.
        let (just_now, long_ago) = (Duration::from_millis(4_999), Duration::from_secs(5));
        assert!(is_fresh(just_now, Some(just_now)));
        assert!(!is_fresh(just_now, Some(long_ago)), "the environment was frozen");
        assert!(!is_fresh(long_ago, Some(just_now)));
        assert!(!is_fresh(just_now, None), "the wall clock was set back");
    }
}
