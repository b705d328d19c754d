//! STS as far as a Temporal server needs it: `AssumeRole` and `GetCallerIdentity`, in the query
//! protocol (a form in, XML out).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::Account;
use crate::shared::ACCOUNT;

/// Far enough away that credentials never expire within a test.
const EXPIRATION: &str = "2099-01-01T00:00:00Z";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) async fn call(State(account): State<Arc<Account>>, body: Bytes) -> Response {
    let form: BTreeMap<_, _> = form_urlencoded::parse(&body).collect();
    let value = |name: &str| form.get(name).map(|value| &**value);
    match value("Action") {
        Some("AssumeRole") => {
            let role = value("RoleArn").unwrap_or_default();
            let session = value("RoleSessionName").unwrap_or("session");
            let answer = assume_role(&account, role, session, value("ExternalId"));
            account.record_call("AssumeRole", role, &answer);
            answer
        }
        Some("GetCallerIdentity") => {
            let answer = caller_identity();
            account.record_call("GetCallerIdentity", "", &answer);
            answer
        }
        other => error(
            StatusCode::BAD_REQUEST,
            "InvalidAction",
            &format!("the emulator's STS has no action `{}`", other.unwrap_or_default()),
        ),
    }
}

fn assume_role(
    account: &Account,
    role: &str,
    session: &str,
    external_id: Option<&str>,
) -> Response {
    if role.is_empty() {
        return error(StatusCode::BAD_REQUEST, "ValidationError", "RoleArn is missing");
    }
    if account.external_id.as_deref().is_some_and(|expected| external_id != Some(expected)) {
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
    xml(
        StatusCode::OK,
        format!(
            "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::{ACCOUNT}:user/test</Arn><UserId>AIDATEST</UserId>\
             <Account>{ACCOUNT}</Account></GetCallerIdentityResult>{metadata}\
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
