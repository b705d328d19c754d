//! The conditions under which a swarm runs.

use std::time::Duration;

use temporal_lambda_testkit::server::{DevServer, DevServerBuilder};

/// A server and the way to it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What a worker's calls take for their way to the server and back.
    pub(crate) round_trip: Duration,
    /// Whether the server refuses calls now and then.
    pub(crate) is_throttled: bool,
    /// Whether processes of functions are killed now and then. What they had is lost until its timeout; nothing else
    /// may be.
    pub(crate) kills: bool,
    /// The server's dynamic configuration; values are JSON.
    config: &'static [(&'static str, &'static str)],
    /// Whether it is part of the short form.
    pub(crate) is_short: bool,
    /// Whether no task may be lost. Where connections are cut, the answer to a poll may be lost with
    /// its connection, and the task with it; there is only a comparison.
    pub(crate) is_strict: bool,
}

const NEAR: Duration = Duration::ZERO;
const FAR: Duration = Duration::from_millis(50);

const ENDS_POLLS: (&str, &str) = ("frontend.enableCancelWorkerPollsOnShutdown", "true");

pub(crate) const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "stock",
        about: "a stock server, near",
        round_trip: NEAR,
        is_throttled: false,
        kills: false,
        config: &[],
        is_short: false,
        is_strict: true,
    },
    Scenario {
        name: "stock-far",
        about: "a stock server, 50 ms there and back",
        round_trip: FAR,
        is_throttled: false,
        kills: false,
        config: &[],
        is_short: true,
        is_strict: true,
    },
    Scenario {
        name: "ends-polls",
        about: "a server that ends the polls of a worker that shuts down, near",
        round_trip: NEAR,
        is_throttled: false,
        kills: false,
        config: &[ENDS_POLLS],
        is_short: true,
        is_strict: true,
    },
    Scenario {
        name: "ends-polls-far",
        about: "a server that ends the polls of a worker that shuts down, 50 ms there and back",
        round_trip: FAR,
        is_throttled: false,
        kills: false,
        config: &[ENDS_POLLS],
        is_short: false,
        is_strict: true,
    },
    Scenario {
        name: "closed",
        about: "a server that closes connections every 4 s; calls under way have 5 s to end",
        round_trip: NEAR,
        is_throttled: false,
        kills: false,
        config: &[
            ("frontend.keepAliveMaxConnectionAge", "\"4s\""),
            ("frontend.keepAliveMaxConnectionAgeGrace", "\"5s\""),
        ],
        is_short: false,
        is_strict: true,
    },
    Scenario {
        name: "cut",
        about: "a server that closes connections every 2 s; calls under way have 0.3 s to end",
        round_trip: NEAR,
        is_throttled: false,
        kills: false,
        config: &[
            ("frontend.keepAliveMaxConnectionAge", "\"2s\""),
            ("frontend.keepAliveMaxConnectionAgeGrace", "\"300ms\""),
        ],
        is_short: false,
        is_strict: false,
    },
    Scenario {
        name: "throttled",
        about: "a server that refuses calls for a moment now and then, a worker's farewell first, near",
        round_trip: NEAR,
        is_throttled: true,
        kills: false,
        config: THROTTLED,
        is_short: false,
        is_strict: true,
    },
    Scenario {
        name: "throttled-far",
        about: "a server that refuses calls for a moment now and then, 50 ms there and back",
        round_trip: FAR,
        is_throttled: true,
        kills: false,
        config: THROTTLED,
        is_short: false,
        is_strict: true,
    },
    Scenario {
        name: "killed",
        about: "one invocation of three is killed, near",
        round_trip: NEAR,
        is_throttled: false,
        kills: true,
        config: &[ENDS_POLLS],
        is_short: true,
        is_strict: true,
    },
];

/// More than the swarm and its workers need, but for the moments after a [burst](super::client::BURST).
const THROTTLED: &[(&str, &str)] =
    &[("frontend.namespaceRPS", "120"), ("frontend.namespaceBurstRatio", "1.0")];

impl Scenario {
    /// Its server.
    pub(crate) fn server(&self) -> DevServerBuilder {
        self.config.iter().fold(DevServer::builder(), |server, (key, value)| {
            let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
            server.dynamic_config(*key, value)
        })
    }
}
