//! What invocations would cost.

use std::time::Duration;

use temporal_lambda_testkit::lambda::Invocation;

/// US dollars per GB-second: Lambda's list price for x86 in us-east-1, first tier.
const PER_GB_SECOND: f64 = 0.000_016_666_7;
/// US dollars per million requests.
const PER_MILLION_REQUESTS: f64 = 0.20;

/// Billed time and requests of some invocations, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bill {
    pub(crate) requests: u64,
    pub(crate) billed: Duration,
    gb_seconds: f64,
}

impl Bill {
    /// Adds an invocation of a function with so much memory.
    pub(crate) fn add(&mut self, invocation: &Invocation, memory_mb: u32) {
        self.requests += 1;
        self.billed += invocation.billed;
        self.gb_seconds += invocation.billed.as_secs_f64() * f64::from(memory_mb) / 1024.0;
    }

    /// The estimate in US dollars, without the free tier.
    pub(crate) fn dollars(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "nobody makes 2^52 requests from a laptop")]
        let requests = self.requests as f64;
        self.gb_seconds * PER_GB_SECOND + requests * PER_MILLION_REQUESTS / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabyte_for_an_hour_costs_what_the_price_list_says() {
        let bill = Bill { requests: 1_000_000, billed: Duration::ZERO, gb_seconds: 3600.0 };
        assert!((bill.dollars() - 0.260_000_12).abs() < 1e-9, "{}", bill.dollars());
    }
}
