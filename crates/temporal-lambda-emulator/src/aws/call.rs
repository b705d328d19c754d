//! A call of Lambda's API: what it is about, and how it is answered.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{account::Account, deployed::Deployed, name::Name, refusal::Refusal};
use crate::config::LATEST;

/// How many entries a page of a list has, unless the caller says.
const PAGE: usize = 50;

pub(super) type Answer = Result<Response, Refusal>;

pub(super) struct Call {
    pub(super) account: Arc<Account>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
}

impl Call {
    /// The function that it is about, with the qualifier from its name or its query.
    pub(super) fn target(&self) -> Result<Name, Refusal> {
        let mut target = Name::parse(self.path.get("name").map_or("", String::as_str));
        let named = self.query("Qualifier");
        if let (Some(inline), Some(named)) = (&target.qualifier, named)
            && inline != named
        {
            return Err(Refusal::invalid(format!(
                "The function's name has the qualifier `{inline}`, and the query `{named}`"
            )));
        }
        target.qualifier = target.qualifier.or_else(|| named.map(str::to_owned));
        Ok(target)
    }

    /// The function, when the operation works on `$LATEST` only.
    pub(super) fn unqualified(&self) -> Result<Name, Refusal> {
        let target = self.target()?;
        match target.qualifier.as_deref() {
            None | Some(LATEST) => Ok(target),
            Some(other) => Err(Refusal::invalid(format!(
                "`{other}` cannot be changed; this operation is for $LATEST"
            ))),
        }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The part of the path that names an alias.
    pub(super) fn alias(&self) -> &str {
        self.path.get("alias").map_or("", String::as_str)
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        // Some operations may come without a body.
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "SerializationException", error.to_string())
        })
    }

    /// Works on the function of this name.
    pub(super) fn with<T>(
        &self,
        target: &Name,
        work: impl FnOnce(&mut Deployed) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut functions = self.account.functions.lock();
        let found = functions.get_mut(&target.function);
        work(found.ok_or_else(|| Refusal::no_function(&target.arn()))?)
    }

    /// The page of the list that was asked for.
    pub(super) fn page(&self, list: &'static str, entries: Vec<Value>) -> Answer {
        let number = |name| match self.query(name) {
            None => Ok(None),
            Some(text) => text.parse::<usize>().map(Some).map_err(|_| {
                Refusal::invalid(format!("`{text}` is no {name} that this emulator gave"))
            }),
        };
        let start = number("Marker")?.unwrap_or(0);
        let size = number("MaxItems")?.unwrap_or(PAGE).clamp(1, PAGE);
        let more = entries.len() > start.saturating_add(size);
        let page: Vec<_> = entries.into_iter().skip(start).take(size).collect();
        let mut answer = json!({ list: page });
        if more {
            answer["NextMarker"] = json!((start + size).to_string());
        }
        ok(answer)
    }
}

/// An answer with this body.
pub(super) fn ok(body: Value) -> Answer {
    Ok(Json(body).into_response())
}

/// The answer of an operation that made something.
pub(super) fn created(body: Value) -> Answer {
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The answer of an operation that took something away.
pub(super) fn gone() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Routes `method` to an operation that waits for nothing but files.
pub(super) fn operation(
    method: MethodFilter,
    name: &'static str,
    run: fn(&Call) -> Answer,
) -> MethodRouter<Arc<Account>> {
    waiting(method, name, move |call| async move {
        let answered = tokio::task::spawn_blocking(move || run(&call)).await;
        answered.unwrap_or_else(|failed| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Refusal::new(status, "ServiceException", failed.to_string()))
        })
    })
}

/// Routes `method` to an operation that waits.
pub(super) fn waiting<F>(
    method: MethodFilter,
    name: &'static str,
    run: impl Fn(Call) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Account>>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = move |State(account): State<Arc<Account>>,
                        Path(path): Path<BTreeMap<String, String>>,
                        RawQuery(query): RawQuery,
                        headers: HeaderMap,
                        body: Bytes| {
        let query = query.unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let target = path.get("name").cloned().unwrap_or_default();
        let answer = run(Call { account: account.clone(), headers, body, path, query });
        async move {
            let answer = answer.await.unwrap_or_else(Refusal::into_response);
            account.record_call(name, &target, &answer);
            answer
        }
    };
    on(method, handler)
}
