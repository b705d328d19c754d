//! What somebody probably meant.

/// The known name that `name` is most like, if any is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // 0.75 takes in swapped, missing and doubled letters and a missing plural, but keeps apart
    // keys that only share a word.
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name() {
        let known = ["idle_timeout", "build_id", "task_queue"];
        assert_eq!(nearest("idle_timout", &known), Some("idle_timeout"));
        assert_eq!(nearest("buildid", &known), Some("build_id"));
        assert_eq!(nearest("taskqueue", &known), Some("task_queue"));
        assert_eq!(nearest("xyz", &known), None);
    }
}
