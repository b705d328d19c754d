//! Whether the memory of an environment grows with the invocations that it serves.

/// What an invocation leaves behind that does not take its worker out of the connection, in kB, as measured with
/// the bare SDK.
const LEAK_KB: f64 = 90.0;
/// Growth of less, in kB per invocation, is what an allocator does.
pub const TOLERATED_KB: f64 = LEAK_KB / 4.0;

/// By how much readings of memory grow from one to the next: from the median of one third to that of the next, the
/// lesser of the two steps. What a thread frees, the allocator gives back later or never, so that single readings go up
/// and down by 2 MB, and all of them go up once in a while. Only a leak goes on. `None` for fewer than three readings.
#[allow(clippy::cast_precision_loss, reason = "they are small")]
pub fn per_reading(readings: &[u64]) -> Option<f64> {
    let third = readings.len() / 3;
    if third == 0 {
        return None;
    }
    let median = |some: &[u64]| {
        let mut some = some.to_vec();
        some.sort_unstable();
        some[third / 2] as f64
    };
    let medians: Vec<_> = readings.chunks_exact(third).map(median).collect();
    Some((medians[1] - medians[0]).min(medians[2] - medians[1]) / third as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_under_memory_that_goes_up_and_down_and_without_one_there_is_none() {
        // As measured: up and down, and at one time to a level that stays.
        for rises_at in [10, 30, 50, 70] {
            let noise =
                |number: u64| number * 7 % 10 * 120 + if number < rises_at { 0 } else { 1_200 };
            let grown = |kb: u64| {
                let readings = (0..95).map(|number| 48_000 + noise(number) + kb * number);
                per_reading(&readings.collect::<Vec<_>>()).unwrap_or(f64::NAN)
            };
            assert!(grown(0) < TOLERATED_KB, "{rises_at}: {}", grown(0));
            for kb in [30, 90] {
                assert!(grown(kb) > TOLERATED_KB, "{rises_at}, {kb} kB: {}", grown(kb));
            }
        }
        assert_eq!(per_reading(&[1, 2]), None);
    }
}
