//! The endpoints that take widget packages and start their bots. The [crate](super) documents them.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use serde_json::json;

use super::account::lock;
use super::answer::{self, Answer, FieldError};
use super::control::{Order, content_type_is};
use super::plan::Plan;
use super::serve::Shared;
use super::uploads::{self, WidgetOrder};

/// Handles requests below `/simulator/widgets`; `rest` is the path after that.
pub(super) async fn handle(shared: &Shared, head: &Parts, rest: &str, body: Bytes) -> Answer {
    match (rest.strip_prefix('/'), &head.method) {
        (None, _) if !rest.is_empty() => answer::problem(404),
        (None, &Method::GET) => {
            let widgets: Vec<_> =
                lock(&shared.account.uploads).values().map(|upload| json!(upload.widget)).collect();
            answer::json_body(200, &json!({ "widgets": widgets }))
        }
        (None, &Method::POST) => upload(shared, head, None, body).await,
        (None, _) => answer::method("GET, POST"),
        (Some(code), &Method::POST) => upload(shared, head, Some(code.to_owned()), body).await,
        (Some(_), _) => answer::method("POST"),
    }
}

async fn upload(shared: &Shared, head: &Parts, code: Option<String>, zip: Bytes) -> Answer {
    // Requiring this type keeps web pages out, as with bots.
    if !["application/zip", "application/octet-stream"].iter().any(|kind| content_type_is(head, kind)) {
        return answer::refuse(415, "The package must be sent as Content-Type: application/zip.");
    }
    let account = shared.account.clone();
    let uploaded = blocking(move || uploads::upload(&account, &zip, code.as_deref())).await;
    match uploaded {
        Some(Ok(widget)) => answer::json_body(201, &json!(widget)),
        Some(Err(mistakes)) => {
            let error = |mistake: super::package::Mistake| FieldError {
                code: "InvalidPackage",
                path: mistake.place,
                detail: mistake.detail,
            };
            answer::invalid_fields(&mistakes.into_iter().map(error).collect::<Vec<_>>())
        }
        None => answer::problem(500),
    }
}

/// Starts the bots of an order that names a widget.
pub(super) async fn start(shared: &Shared, order: Order, plan: Plan) -> Answer {
    let Order { widget, handler, settings, variables, count, .. } = order;
    let order = WidgetOrder { widget: widget.unwrap_or_default(), handler, settings, variables, plan };
    let account = shared.account.clone();
    let made = blocking(move || {
        (0..count).map(|_| uploads::play(&account, order.clone())).collect::<Result<Vec<_>, _>>()
    });
    let bots = match made.await {
        Some(Ok(bots)) => bots,
        Some(Err(detail)) => return answer::refuse(400, &detail),
        None => return answer::problem(500),
    };
    let ids: Vec<_> = bots.iter().map(|playing| playing.bot.id()).collect();
    for playing in bots {
        let stop = shared.stop.clone();
        shared.tasks.spawn(async move { stop.run_until_cancelled(playing.run()).await });
    }
    answer::json_body(202, &json!({ "bots": ids }))
}

/// Runs slow work, such as scripts, on a thread that may block; `None` if it panics.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
