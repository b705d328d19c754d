//! The published numbers, and a short form of the run that makes them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use temporal_lambda_benches::peers::programs::{self, Program};
use temporal_lambda_benches::peers::{Plan, Side, publish, run};
use temporal_lambda_test_timing::TimeLimit;

#[test]
fn published_tables_and_pictures_are_what_the_published_record_makes() {
    let root = programs::root();
    let record = publish::published(&root).expect("a record is published");
    for (path, expected) in publish::files(&root, &record).expect("files are made of it") {
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "{} is not of docs/peers.json", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_takes_cold_and_warm_invocations_of_this_library_and_the_bare_sdk() {
    let _limit = TimeLimit::of_this_test();
    let sides = [
        Program::binary(Side::Ours, Path::new(env!("CARGO_BIN_EXE_hello-under-bench"))),
        Program::binary(Side::Bare, Path::new(env!("CARGO_BIN_EXE_bare-under-bench"))),
    ];
    let plan = Plan {
        command: String::new(),
        rounds: 1,
        soak: Duration::ZERO,
        only: vec!["cold".to_owned(), "7th-cold".to_owned()],
        missing: Vec::new(),
        keep: None,
    };
    let record = run(&plan, &sides).await.expect("it runs");
    for side in [Side::Ours, Side::Bare] {
        for row in ["init", "cold", "warm", "memory", "cpu"] {
            let values = record.values(row, side);
            let reason = record.reason(row, side).unwrap_or_default();
            assert_eq!(values.len(), 1, "{row} of {side:?}: {reason}");
        }
        // Where this machine lets nobody make a cgroup, the record says so, and nothing else is a reason.
        let reason = record.reason("7th-cold", side).unwrap_or_default();
        let shares =
            record.values("7th-cold", side).iter().chain(record.values("7th-memory", side));
        assert!(shares.count() == 2 || reason.contains("cgroup"), "{side:?}: {reason}");
        let value = |row| record.values(row, side)[0];
        assert!(0.0 < value("init") && value("init") < value("cold"), "{side:?}: {record:?}");
        assert!(value("warm") > 0.0 && value("memory") > 1.0, "{side:?}: {record:?}");
    }
    // Nothing else was asked for.
    assert!(record.values.keys().all(|row| !row.starts_with("far") && row != "zip"));
}
