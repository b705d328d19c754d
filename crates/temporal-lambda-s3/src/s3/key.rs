//! Where in a bucket a payload lies. All SDKs make the same keys; readers take the claim's.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::driver::StorageDriverTargetInfo;

/// The longest key that S3 takes, in bytes.
const LONGEST_KEY: usize = 1024;

/// What is escaped in a segment: all but letters, digits and these.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The key of a payload with this digest (64 lower-case hex digits of SHA-256).
pub(crate) fn object_key(target: Option<&StorageDriverTargetInfo>, digest: &str) -> String {
    let Some(target) = target else { return format!("v0/d/sha256/{digest}") };
    let (namespace, execution) = match target {
        StorageDriverTargetInfo::Workflow(workflow) => (
            segment(Some(&workflow.namespace)),
            [
                ("wt", segment(workflow.workflow_type.as_deref())),
                ("wi", segment(workflow.id.as_deref())),
                ("ri", segment(workflow.run_id.as_deref())),
            ],
        ),
        StorageDriverTargetInfo::Activity(activity) => (
            segment(Some(&activity.namespace)),
            [
                ("at", segment(activity.activity_type.as_deref())),
                ("ai", segment(activity.id.as_deref())),
                ("ri", segment(activity.run_id.as_deref())),
            ],
        ),
    };
    let middle: String = execution.iter().map(|(name, value)| format!("{name}/{value}/")).collect();
    let key = format!("v0/ns/{namespace}/{middle}d/sha256/{digest}");
    // A segment of dots means another folder to whoever normalizes the URL on the way.
    let dots = |value: &String| value == "." || value == "..";
    if key.len() <= LONGEST_KEY && !execution.iter().any(|(_, value)| dots(value)) {
        key
    } else {
        format!("v0/ns/{namespace}/d/sha256/{digest}")
    }
}

fn segment(value: Option<&str>) -> String {
    match value {
        None | Some("") => "null".to_owned(),
        Some(value) => utf8_percent_encode(value, ESCAPED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{StorageDriverActivityInfo, StorageDriverWorkflowInfo};

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn some(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn workflow(namespace: &str, kind: &str, id: &str, run: &str) -> String {
        let target = StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
            namespace: namespace.into(),
            id: some(id),
            run_id: some(run),
            workflow_type: some(kind),
        });
        object_key(Some(&target), DIGEST)
    }

    fn activity(namespace: &str, kind: &str, id: &str, run: &str) -> String {
        let target = StorageDriverTargetInfo::Activity(StorageDriverActivityInfo {
            namespace: namespace.into(),
            id: some(id),
            run_id: some(run),
            activity_type: some(kind),
        });
        object_key(Some(&target), DIGEST)
    }

    #[test]
    fn a_key_without_a_target_is_the_digest() {
        assert_eq!(object_key(None, DIGEST), format!("v0/d/sha256/{DIGEST}"));
    }

    #[test]
    fn a_key_for_a_workflow_has_its_namespace_type_id_and_run() {
        assert_eq!(
            workflow("ns1", "T", "wf1", "run1"),
            format!("v0/ns/ns1/wt/T/wi/wf1/ri/run1/d/sha256/{DIGEST}")
        );
    }

    #[test]
    fn a_key_for_a_standalone_activity_has_its_namespace_type_id_and_run() {
        assert_eq!(
            activity("ns1", "A", "act1", "run1"),
            format!("v0/ns/ns1/at/A/ai/act1/ri/run1/d/sha256/{DIGEST}")
        );
    }

    #[test]
    fn what_is_missing_in_a_key_is_the_word_null() {
        let expected = format!("v0/ns/ns1/wt/null/wi/wf1/ri/null/d/sha256/{DIGEST}");
        assert_eq!(workflow("ns1", "", "wf1", ""), expected);
        let missing = StorageDriverTargetInfo::Workflow(StorageDriverWorkflowInfo {
            namespace: "ns1".into(),
            id: some("wf1"),
            ..Default::default()
        });
        assert_eq!(object_key(Some(&missing), DIGEST), expected);
        assert_eq!(
            activity("", "", "", ""),
            format!("v0/ns/null/at/null/ai/null/ri/null/d/sha256/{DIGEST}")
        );
    }

    #[test]
    fn a_keys_segments_are_escaped_byte_by_byte() {
        for (raw, escaped) in [
            ("order/123/v2", "order%2F123%2Fv2"),
            ("wf#1 &foo=bar", "wf%231%20%26foo%3Dbar"),
            ("act/1#2", "act%2F1%232"),
            ("my/ns#1", "my%2Fns%231"),
            ("wf id+1", "wf%20id%2B1"),
            ("run=abc", "run%3Dabc"),
            ("café", "caf%C3%A9"),
            ("wf~1", "wf%7E1"),
            ("!-_.*'()", "!-_.*'()"),
            ("CamelCase", "CamelCase"),
        ] {
            let in_workflow = workflow(raw, raw, raw, raw);
            let expected =
                format!("v0/ns/{escaped}/wt/{escaped}/wi/{escaped}/ri/{escaped}/d/sha256/{DIGEST}");
            assert_eq!(in_workflow, expected, "{raw}");
            let in_activity = activity(raw, raw, raw, raw);
            let expected =
                format!("v0/ns/{escaped}/at/{escaped}/ai/{escaped}/ri/{escaped}/d/sha256/{DIGEST}");
            assert_eq!(in_activity, expected, "{raw}");
        }
    }

    #[test]
    fn whole_keys_are_as_the_other_sdks_make_them() {
        assert_eq!(
            workflow("payments prod", "ChargeWorkflow", "order+123=abc", "R"),
            format!(
                "v0/ns/payments%20prod/wt/ChargeWorkflow/wi/order%2B123%3Dabc/ri/R/d/sha256/{DIGEST}"
            )
        );
        assert_eq!(
            activity("payments prod", "Capture/Charge", "activity id+42", "R"),
            format!(
                "v0/ns/payments%20prod/at/Capture%2FCharge/ai/activity%20id%2B42/ri/R/d/sha256/{DIGEST}"
            )
        );
    }

    #[test]
    fn a_key_that_s3_would_not_take_has_the_namespace_only() {
        let fallback = format!("v0/ns/ns1/d/sha256/{DIGEST}");
        // Everything but the ID takes 101 bytes.
        let rest = workflow("ns1", "T", "", "R").len() - "null".len();
        let longest = "x".repeat(LONGEST_KEY - rest);
        assert_eq!(workflow("ns1", "T", &longest, "R").len(), LONGEST_KEY);
        assert_eq!(workflow("ns1", "T", &format!("{longest}x"), "R"), fallback);
        // Counted after escaping.
        assert_eq!(workflow("ns1", "T", &"é".repeat(200), "R"), fallback);
        assert_eq!(workflow("ns1", "T", "..", "R"), fallback);
        assert_eq!(workflow("ns1", "T", ".", "R"), fallback);
    }
}
