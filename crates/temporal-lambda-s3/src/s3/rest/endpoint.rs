//! The URL of an object.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What AWS's signatures escape in a path: all but letters, digits, these and the slash.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The server that buckets are at.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Without a slash at its end.
    url: String,
    /// Whether it is AWS, where access points have hosts of their own.
    aws: bool,
}

/// Where a request goes.
pub(super) struct Target {
    pub(super) uri: Uri,
    /// The region to sign for, where it is not the client's.
    pub(super) region: Option<String>,
}

impl Endpoint {
    /// `url`, or AWS's server in `region`.
    pub(super) fn new(url: Option<&str>, region: &str) -> Result<Self, String> {
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let refused = |reason: &str| format!("the S3 endpoint {url:?} {reason}");
            let uri: Uri = url.parse().map_err(|_| refused("is no URL"))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
                return Err(refused("must begin with http:// or https:// and have a host"));
            }
            return Ok(Self { url: url.trim_end_matches('/').to_owned(), aws: false });
        }
        if !is_label(region) {
            return Err(format!("{region:?} is no AWS region"));
        }
        Ok(Self { url: format!("https://s3.{region}.{}", suffix(region)), aws: true })
    }

    /// The URL of an object. The bucket comes from a claim, that is, from outside.
    pub(super) fn target(&self, bucket: &str, key: &str) -> Result<Target, String> {
        // Whoever normalizes URLs on the way would make another address of it.
        if key.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(format!("the key {key:?} has a segment of dots, which no URL can have"));
        }
        let key = utf8_percent_encode(key, ESCAPED);
        if let Some(arn) = bucket.strip_prefix("arn:") {
            let (host, region) = self.access_point(arn).ok_or_else(|| {
                format!("{bucket:?} is not the ARN of an S3 access point that can be reached here")
            })?;
            let uri = format!("https://{host}/{key}").parse().map_err(|_| no_uri(bucket))?;
            return Ok(Target { uri, region: Some(region) });
        }
        if !is_bucket(bucket) {
            return Err(format!("{bucket:?} is not the name of an S3 bucket"));
        }
        let uri = format!("{}/{bucket}/{key}", self.url).parse().map_err(|_| no_uri(bucket))?;
        Ok(Target { uri, region: None })
    }

    /// The host of `aws:s3:<region>:<account>:accesspoint/<name>`, and its region.
    fn access_point(&self, arn: &str) -> Option<(String, String)> {
        let parts: Vec<_> = arn.splitn(5, ':').collect();
        let [partition, "s3", region, account, resource] = parts[..] else { return None };
        let name =
            resource.strip_prefix("accesspoint/").or(resource.strip_prefix("accesspoint:"))?;
        let labels = [partition, region, account, name];
        (self.aws && labels.into_iter().all(is_label)).then(|| {
            let host = format!("{name}-{account}.s3-accesspoint.{region}.{}", suffix(region));
            (host, region.to_owned())
        })
    }
}

fn no_uri(bucket: &str) -> String {
    format!("the key makes no URL in {bucket:?}")
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_bucket(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (3..=255).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_object_at_aws_has_the_url_of_its_region() {
        let aws = Endpoint::new(None, "eu-central-1").unwrap();
        let target = aws.target("my.bucket", "v0/ns/a%20b/d/sha256/ff").unwrap();
        assert_eq!(
            target.uri.to_string(),
            "https://s3.eu-central-1.amazonaws.com/my.bucket/v0/ns/a%2520b/d/sha256/ff"
        );
        assert_eq!(target.region, None);
        let china = Endpoint::new(None, "cn-north-1").unwrap();
        let uri = china.target("abc", "k").unwrap().uri.to_string();
        assert_eq!(uri, "https://s3.cn-north-1.amazonaws.com.cn/abc/k");
    }

    #[test]
    fn an_object_behind_an_access_point_has_the_access_points_url_and_region() {
        let aws = Endpoint::new(None, "us-east-1").unwrap();
        let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine";
        let target = aws.target(arn, "k").unwrap();
        let expected = "https://mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k";
        assert_eq!(target.uri.to_string(), expected);
        assert_eq!(target.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn a_bucket_from_a_claim_cannot_lead_to_another_host_or_folder() {
        let aws = Endpoint::new(None, "us-east-1").unwrap();
        for bucket in [
            "",
            "..",
            "../x",
            "a/b",
            "a@evil.com/",
            "a?b",
            "arn:aws:s3:x.evil.com/:1:accesspoint/a",
            "arn:aws:s3:us-east-1:1:accesspoint/a.evil.com/",
            "arn:aws:sqs:us-east-1:1:queue",
        ] {
            assert!(aws.target(bucket, "k").is_err(), "{bucket}");
        }
    }

    #[test]
    fn a_key_from_a_claim_cannot_lead_to_another_bucket() {
        let aws = Endpoint::new(None, "us-east-1").unwrap();
        for key in ["../other/k", "a/../../other/k", "a/./k", ".."] {
            let refused = aws.target("abc", key).err().unwrap();
            assert!(refused.contains(key), "{refused}");
        }
        for key in ["a..b", "...", "a//b", "?x=1", "#", "%2e%2e/x", "a b"] {
            let uri = aws.target("abc", key).unwrap().uri;
            assert!(uri.path().starts_with("/abc/") && uri.query().is_none(), "{uri}");
        }
    }

    #[test]
    fn an_s3_endpoint_that_is_no_url_is_refused_by_name() {
        for url in ["localhost:9000", "ftp://a", "not a url", "/path"] {
            let refused = Endpoint::new(Some(url), "us-east-1").unwrap_err();
            assert!(refused.contains(url), "{refused}");
        }
        let local = Endpoint::new(Some("http://127.0.0.1:9000/"), "us-east-1").unwrap();
        let uri = local.target("abc", "k").unwrap().uri.to_string();
        assert_eq!(uri, "http://127.0.0.1:9000/abc/k");
        assert!(Endpoint::new(None, "us-east-1.evil.com/").is_err());
    }
}
