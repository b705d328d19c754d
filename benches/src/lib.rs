//! What a Temporal worker on Lambda costs: the comparison with the peers, and what the benches share.

pub mod peers;

use std::time::Duration;

use comfy_table::{Table, presets};

/// The median.
///
/// # Panics
/// Without a measurement.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Prints a table.
pub fn print_table(head: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(head);
    table.add_rows(rows);
    println!("{table}");
}

/// Prints a table whose first row is its head.
pub fn print(table: &[Vec<String>]) {
    if let Some((head, rows)) = table.split_first() {
        print_table(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows.to_vec());
    }
}

/// Milliseconds with one decimal.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
