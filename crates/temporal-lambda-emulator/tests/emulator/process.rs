//! What is known of a process.

use temporal_lambda_emulator::{ProcessStats, ProcessStatsError};

#[test]
fn the_statistics_of_this_process_are_read() {
    let stats = ProcessStats::of_self().unwrap();
    assert!(stats.threads >= 1);
    assert!(stats.fds >= 1);
    assert!(stats.peak_rss_kb >= stats.rss_kb && stats.rss_kb > 0);
}

#[test]
fn a_process_that_is_gone_has_no_statistics() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert!(matches!(ProcessStats::of(pid), Err(ProcessStatsError::Unreadable { .. })));
}
