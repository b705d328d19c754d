//! What AWS keeps of one function: the code and configuration that can change, the versions that
//! cannot, and the aliases.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use uuid::Uuid;

use crate::{
    config::{Code, EventPolicy, FunctionConfig, LATEST},
    function::Function,
};

#[derive(Debug)]
pub(crate) struct Deployed {
    /// `$LATEST`; for a function that was added with a version, that one.
    pub(super) latest: Version,
    pub(super) published: BTreeMap<u64, Version>,
    pub(super) aliases: BTreeMap<String, Alias>,
    /// By qualifier, `$LATEST` for none.
    pub(super) event_configs: BTreeMap<String, EventConfig>,
    /// Reserved concurrency.
    pub(super) reserved: Option<usize>,
    pub(super) tags: BTreeMap<String, String>,
    last_number: u64,
}

/// A version of the function, or `$LATEST`.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) function: Function,
    pub(super) revision: String,
    pub(super) modified: SystemTime,
}

#[derive(Debug, Clone)]
pub(super) struct Alias {
    pub(super) version: String,
    pub(super) description: String,
    /// The share of the invocations that other versions get.
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) revision: String,
}

/// What `PutFunctionEventInvokeConfig` set.
#[derive(Debug, Clone)]
pub(super) struct EventConfig {
    pub(super) max_retry_attempts: Option<u32>,
    pub(super) max_age_seconds: Option<u64>,
    pub(super) modified: SystemTime,
}

impl Version {
    fn new(function: Function) -> Self {
        Self { function, revision: revision(), modified: SystemTime::now() }
    }
}

impl Deployed {
    pub(crate) fn new(function: Function) -> Self {
        let config = function.config();
        let latest = Version::new(function);
        let alias = |name: &String| {
            let alias = Alias {
                version: config.version.clone(),
                description: String::new(),
                weights: BTreeMap::new(),
                revision: revision(),
            };
            (name.clone(), alias)
        };
        Self {
            published: config.number().map(|number| (number, latest.clone())).into_iter().collect(),
            aliases: config.aliases.iter().map(alias).collect(),
            event_configs: BTreeMap::new(),
            reserved: None,
            tags: BTreeMap::new(),
            last_number: config.number().unwrap_or(0),
            latest,
        }
    }

    /// All versions, `$LATEST` first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Function> {
        let only = self.latest.function.config().version != LATEST;
        let latest = (!only).then_some(&self.latest);
        latest.into_iter().chain(self.published.values()).map(|version| &version.function)
    }

    /// The version of exactly this name.
    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        match name {
            LATEST => Some(&self.latest),
            number => self.published.get(&number.parse().ok()?),
        }
    }

    /// The version that a qualifier leads to. An alias that splits its invocations chooses anew.
    pub(crate) fn resolve(&self, qualifier: Option<&str>) -> Option<Function> {
        let version = match qualifier {
            None => Some(&self.latest),
            Some(name) => match self.aliases.get(name) {
                Some(alias) => self.version(alias.choose()),
                None => self.version(name),
            },
        };
        version.map(|version| version.function.clone())
    }

    /// What becomes of `Event` invocations with this qualifier.
    pub(super) fn event_policy(&self, function: &Function, qualifier: Option<&str>) -> EventPolicy {
        let mut policy = function.config().events;
        if let Some(set) = self.event_configs.get(qualifier.unwrap_or(LATEST)) {
            policy.max_retry_attempts = set.max_retry_attempts.unwrap_or(policy.max_retry_attempts);
            policy.max_age =
                set.max_age_seconds.map_or(policy.max_age, std::time::Duration::from_secs);
        }
        policy
    }

    /// Changes `$LATEST`.
    pub(super) fn update(&mut self, config: FunctionConfig) {
        self.latest.function.reconfigure(config);
        self.latest.revision = revision();
        self.latest.modified = SystemTime::now();
    }

    /// Makes a version of `$LATEST`, unless the last version is the same: the version.
    pub(super) fn publish(&mut self, description: Option<String>) -> Version {
        let mut config = FunctionConfig::clone(&self.latest.function.config());
        if let Some((_, last)) = self.published.last_key_value()
            && is_same(&last.function.config(), &config)
        {
            return last.clone();
        }
        self.last_number += 1;
        config.version = self.last_number.to_string();
        config.description = description.unwrap_or(config.description);
        let version = Version::new(self.latest.function.published(config));
        self.published.insert(self.last_number, version.clone());
        version
    }

    /// The aliases that lead to this version.
    pub(super) fn aliases_of(&self, version: &str) -> Vec<&str> {
        let leads =
            |alias: &&Alias| alias.version == version || alias.weights.contains_key(version);
        let names = self.aliases.iter().filter(|(_, alias)| leads(alias));
        names.map(|(name, _)| name.as_str()).collect()
    }
}

impl Alias {
    fn choose(&self) -> &str {
        let mut dice = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        for (version, weight) in &self.weights {
            if dice < *weight {
                return version;
            }
            dice -= weight;
        }
        &self.version
    }
}

/// A new revision ID.
pub(super) fn revision() -> String {
    Uuid::new_v4().to_string()
}

/// Whether both would do the same.
fn is_same(one: &FunctionConfig, other: &FunctionConfig) -> bool {
    let code = match (&one.code, &other.code) {
        (Code::Package(one), Code::Package(other)) => one.sha256() == other.sha256(),
        (Code::InProcess(one), Code::InProcess(other)) => Arc::ptr_eq(one, other),
        (
            Code::Process { program, args, current_dir },
            Code::Process { program: program2, args: args2, current_dir: dir2 },
        ) => program == program2 && args == args2 && current_dir == dir2,
        _ => false,
    };
    code && one.runtime == other.runtime
        && one.handler == other.handler
        && one.role == other.role
        && one.timeout == other.timeout
        && one.memory_mb == other.memory_mb
        && one.env == other.env
}
