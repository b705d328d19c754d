//! STS as far as a Temporal server needs it: `AssumeRole` and `GetCallerIdentity`, in the query
//! protocol (a form in, XML out).

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{emulator::Shared, form};

/// Far enough away that credentials never expire within a test.
const EXPIRATION: &str = "2099-01-01T00:00:00Z";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) async fn call(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let form = form::parse(&String::from_utf8_lossy(&body));
    let value = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    match value("Action") {
        Some("AssumeRole") => {
            let role = value("RoleArn").unwrap_or_default();
            let session = value("RoleSessionName").unwrap_or("session");
            let answer = assume_role(&shared, role, session, value("ExternalId"));
            shared.called("AssumeRole", role, &answer);
            answer
        }
        Some("GetCallerIdentity") => {
            let answer = caller_identity();
            shared.called("GetCallerIdentity", "", &answer);
            answer
        }
        other => error(
            StatusCode::BAD_REQUEST,
            "InvalidAction",
            &format!("the emulator's STS has no action `{}`", other.unwrap_or_default()),
        ),
    }
}

fn assume_role(shared: &Shared, role: &str, session: &str, external_id: Option<&str>) -> Response {
    if role.is_empty() {
        return error(StatusCode::BAD_REQUEST, "ValidationError", "RoleArn is missing");
    }
    if shared.external_id.as_deref().is_some_and(|expected| external_id != Some(expected)) {
        return error(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            &format!("not authorized to perform: sts:AssumeRole on resource: {role}"),
        );
    }
    let assumed = format!("{}/{session}", role.replace(":role/", ":assumed-role/"));
    xml(
        StatusCode::OK,
        format!(
            "<AssumeRoleResponse xmlns=\"{NAMESPACE}\"><AssumeRoleResult>\
             <AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROATEST:{session}</AssumedRoleId>\
             </AssumedRoleUser>\
             <Credentials><AccessKeyId>ASIATEST</AccessKeyId>\
             <SecretAccessKey>test</SecretAccessKey><SessionToken>test</SessionToken>\
             <Expiration>{EXPIRATION}</Expiration></Credentials>\
             </AssumeRoleResult>{metadata}</AssumeRoleResponse>",
            arn = escape(&assumed),
            session = escape(session),
            metadata = metadata(),
        ),
    )
}

fn caller_identity() -> Response {
    let account = super::ACCOUNT;
    xml(
        StatusCode::OK,
        format!(
            "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::{account}:user/test</Arn><UserId>AIDATEST</UserId>\
             <Account>{account}</Account></GetCallerIdentityResult>{metadata}\
             </GetCallerIdentityResponse>",
            metadata = metadata(),
        ),
    )
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            escape(message),
            uuid::Uuid::new_v4(),
        ),
    )
}

fn metadata() -> String {
    format!("<ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>", uuid::Uuid::new_v4())
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "text/xml")], body).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
