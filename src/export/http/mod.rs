//! HTTP: a page, metrics, health, and JSON; nothing that changes anything but a reload, where that is allowed.

mod api;
mod page;
pub(in crate::export) mod readiness;

pub use api::calibration_json;

use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::Exporter;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Only what the page needs: its own inline style, and nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request to read the configuration again; the answer goes back through it.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Serves until `shutdown` completes, then lets requests finish.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    exporter: Arc<Exporter>,
    reloads: Option<mpsc::Sender<ReloadRequest>>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(exporter, reloads))
        .with_graceful_shutdown(shutdown)
        .await
}

fn router(exporter: Arc<Exporter>, reloads: Option<mpsc::Sender<ReloadRequest>>) -> Router {
    Router::new()
        .route("/", get(landing))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "pegel is healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(move || reload(reloads)))
        .route("/api/v1/monitors", get(|State(exporter): State<Arc<Exporter>>| async move { Json(api::monitors(&exporter)) }))
        .route("/api/v1/alerts", get(|State(exporter): State<Arc<Exporter>>| async move { Json(api::alerts(&exporter)) }))
        .route("/api/v1/sources", get(|State(exporter): State<Arc<Exporter>>| async move { Json(api::sources(&exporter)) }))
        .route("/api/v1/status", get(|State(exporter): State<Arc<Exporter>>| async move { Json(api::status(&exporter)) }))
        .layer(map_response(harden))
        .with_state(exporter)
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn metrics(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let as_gzip = accepted.is_some_and(|accepted| {
        accepted
            .split(',')
            .any(|one| one.trim().split(';').next() == Some("gzip"))
    });
    let body = exporter.scrape(as_gzip);
    let mut response = ([(header::CONTENT_TYPE, TEXT_FORMAT)], body).into_response();
    if as_gzip {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn ready(State(exporter): State<Arc<Exporter>>) -> (StatusCode, String) {
    let reasons = exporter.unready();
    if reasons.is_empty() {
        return (StatusCode::OK, "pegel is ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
}

/// Asks for the configuration to be read again, and says what became of it.
async fn reload(reloads: Option<mpsc::Sender<ReloadRequest>>) -> (StatusCode, String) {
    let Some(reloads) = reloads else {
        let off = "reloading by HTTP is off: web.enable_reload turns it on, SIGHUP always works\n";
        return (StatusCode::FORBIDDEN, off.to_owned());
    };
    let (request, outcome) = oneshot::channel();
    let is_asked = reloads.send(request).await.is_ok();
    match outcome.await {
        Ok(Ok(())) if is_asked => (StatusCode::OK, "reloaded\n".to_owned()),
        Ok(Err(problem)) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("not reloaded, the old configuration stays: {problem}\n"),
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "pegel is starting or ending\n".to_owned(),
        ),
    }
}

async fn landing(State(exporter): State<Arc<Exporter>>) -> Response {
    match page::render(&exporter) {
        Ok(html) => Html(html).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
