//! What is said of several values.

/// The least, the middle and the most of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The least.
    pub min: f64,
    /// Half of the values are below it, half above.
    pub median: f64,
    /// The most.
    pub max: f64,
}

impl Summary {
    /// Of these values; `None` where there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[upper - 1], sorted[upper])
        } else {
            sorted[upper]
        };
        Some(Self { min, median, max })
    }
}

/// The least of the values that so many percent of them do not exceed (nearest rank); `None` where there is
/// no value.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    sorted(values).get(rank - 1).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_middle_value_of_an_odd_number_and_the_mean_of_two_of_an_even_one() {
        let odd = Summary { min: 1.0, median: 3.0, max: 9.0 };
        assert_eq!(Summary::of(&[9.0, 1.0, 3.0]), Some(odd));
        let even = Summary { min: 1.0, median: 3.5, max: 9.0 };
        assert_eq!(Summary::of(&[4.0, 9.0, 1.0, 3.0]), Some(even));
        assert_eq!(Summary::of(&[2.0]), Some(Summary { min: 2.0, median: 2.0, max: 2.0 }));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_percentile_is_the_value_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(100.0));
        assert_eq!(percentile(&values, 99), Some(198.0));
        assert_eq!(percentile(&values, 100), Some(200.0));
        assert_eq!(percentile(&[7.0], 1), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
