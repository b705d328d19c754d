//! Chance that can be had again.

use std::time::Duration;

/// A small generator (xorshift), so that a run can be told from the next and done again.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn any_seed() -> u64 {
        uuid::Uuid::new_v4().as_u64_pair().0
    }

    /// Another one, that depends on this one's seed and on `number`.
    pub(crate) fn fork(&self, number: u64) -> Self {
        let mut fork = Self(self.0 ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        fork.fraction();
        fork
    }

    /// From 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `shortest` to `longest`.
    pub(crate) fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + (longest - shortest).mul_f64(self.fraction())
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((self.fraction() * end as f64) as u64).min(end.saturating_sub(1))
    }
}
