//! The known name that a misspelled one is nearest to.

/// The known name that `name` is a misspelling of, if there is one.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(steps, candidate)| *steps <= misspellings(candidate))
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// How many letters of a word may be wrong, missing, swapped or too many: one in five.
fn misspellings(word: &str) -> usize {
    (word.chars().count() / 5).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_name() {
        let known = ["idle_timeout", "build_id", "task_queue", "max_cached_workflows"];
        for (name, expected) in [
            ("idle_timout", "idle_timeout"),
            ("buildid", "build_id"),
            ("taskqueue", "task_queue"),
            ("task-queue", "task_queue"),
            ("max_cached_workflow", "max_cached_workflows"),
            ("max_cahced_worklfows", "max_cached_workflows"),
        ] {
            assert_eq!(nearest(name, &known), Some(expected), "{name}");
        }
        assert_eq!(nearest("xyz", &known), None);
    }

    #[test]
    fn a_word_that_only_begins_alike_is_no_misspelling() {
        let known = ["lambda_worker", "profile"];
        for name in
            ["lambda", "lambda_s3", "provider", "prod", "project", "process", "pool", "worker"]
        {
            assert_eq!(nearest(name, &known), None, "{name}");
        }
        for name in ["lambda_wroker", "lambda_workers", "lambda-worker", "lambdaworker"] {
            assert_eq!(nearest(name, &known), Some("lambda_worker"), "{name}");
        }
        assert_eq!(nearest("profiles", &known), Some("profile"));
    }
}
