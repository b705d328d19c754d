//! The conditions under which a swarm runs.

use std::{path::Path, time::Duration};

use temporal_lambda_testkit::server::{DevServer, DevServerBuilder};

/// A server and the way to it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What a worker's calls take for their way to the server and back.
    pub(crate) round_trip: Duration,
    pub(crate) trouble: Trouble,
    /// The server's dynamic configuration; values are JSON.
    config: &'static [(&'static str, &'static str)],
    /// Whether it is part of the short form.
    pub(crate) is_short: bool,
    /// Whether no task may be lost. Where connections are cut, the answer to a poll may be lost with
    /// its connection, and the task with it; there is only a comparison. Every workflow has to end anyway.
    pub(crate) is_strict: bool,
}

/// What happens now and then.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    Nothing,
    /// The server refuses calls.
    Refusals,
    /// The process of a function is killed. What it had is lost until its timeout; nothing else may be.
    Kills,
    /// The process of a function stands still, as one that gets no CPU.
    Freezes,
    /// The server is restarted. What was with an invocation that saw no server may be lost; nothing else.
    Restarts,
}

const NEAR: Duration = Duration::ZERO;
const FAR: Duration = Duration::from_millis(50);

const ENDS_POLLS: (&str, &str) = ("frontend.enableCancelWorkerPollsOnShutdown", "true");

const STOCK: Scenario = Scenario {
    name: "stock",
    about: "a stock server, near",
    round_trip: NEAR,
    trouble: Trouble::Nothing,
    config: &[],
    is_short: false,
    is_strict: true,
};

pub(crate) const SCENARIOS: [Scenario; 11] = [
    STOCK,
    Scenario {
        name: "stock-far",
        about: "a stock server, 50 ms there and back",
        round_trip: FAR,
        is_short: true,
        ..STOCK
    },
    Scenario {
        name: "ends-polls",
        about: "a server that ends the polls of a worker that shuts down, near",
        config: &[ENDS_POLLS],
        is_short: true,
        ..STOCK
    },
    Scenario {
        name: "ends-polls-far",
        about: "a server that ends the polls of a worker that shuts down, 50 ms there and back",
        round_trip: FAR,
        config: &[ENDS_POLLS],
        ..STOCK
    },
    Scenario {
        name: "closed",
        about: "a server that closes connections every 4 s; calls under way have 5 s to end",
        config: &[
            ("frontend.keepAliveMaxConnectionAge", "\"4s\""),
            ("frontend.keepAliveMaxConnectionAgeGrace", "\"5s\""),
        ],
        ..STOCK
    },
    Scenario {
        name: "cut",
        about: "a server that closes connections every 2 s; calls under way have 0.3 s to end",
        config: &[
            ("frontend.keepAliveMaxConnectionAge", "\"2s\""),
            ("frontend.keepAliveMaxConnectionAgeGrace", "\"300ms\""),
        ],
        is_strict: false,
        ..STOCK
    },
    Scenario {
        name: "throttled",
        about: "a server that refuses calls for a moment now and then, a worker's farewell first, near",
        trouble: Trouble::Refusals,
        config: THROTTLED,
        ..STOCK
    },
    Scenario {
        name: "throttled-far",
        about: "a server that refuses calls for a moment now and then, 50 ms there and back",
        round_trip: FAR,
        trouble: Trouble::Refusals,
        config: THROTTLED,
        ..STOCK
    },
    Scenario {
        name: "killed",
        about: "one invocation of three is killed, near",
        trouble: Trouble::Kills,
        config: &[ENDS_POLLS],
        is_short: true,
        ..STOCK
    },
    Scenario {
        name: "frozen",
        about: "one invocation of three stands still for up to a second, near",
        trouble: Trouble::Freezes,
        config: &[ENDS_POLLS],
        ..STOCK
    },
    Scenario {
        name: "restarted",
        about: "a server that is restarted every 12 to 18 s and keeps its workflows in a file, near",
        trouble: Trouble::Restarts,
        config: &[ENDS_POLLS],
        // Tasks were lost that a server handed out in its first second, by whose fault is not known.
        is_strict: false,
        ..STOCK
    },
];

/// More than the swarm and its workers need, but for the moments after a [burst](super::client::BURST).
const THROTTLED: &[(&str, &str)] =
    &[("frontend.namespaceRPS", "120"), ("frontend.namespaceBurstRatio", "1.0")];

impl Scenario {
    /// Its server, which keeps what it knows in a file of this folder if it is restarted.
    pub(crate) fn server(&self, folder: &Path) -> DevServerBuilder {
        let server = match self.trouble {
            Trouble::Restarts => DevServer::builder().db_filename(folder.join("db")),
            _ => DevServer::builder(),
        };
        self.config.iter().fold(server, |server, (key, value)| {
            let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
            server.dynamic_config(*key, value)
        })
    }
}
