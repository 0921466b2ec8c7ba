//! The HTTP server: a page, metrics, health, and JSON.
//!
//! Requests read what the exporter holds and change nothing. The only exception is
//! `POST /-/reload`, which is off by default and answers when the reload has ended. There is no
//! authentication and no TLS: bind to loopback or put a proxy in front.

mod api;
mod feature;
mod page;
mod readiness;
mod row_state;

use std::future::Future;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

pub use api::{calibration_json, names_json};

use super::exporter::Exporter;

/// The media type of the text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The style sheet of all pages.
const STYLE: &str = include_str!("../templates/style.css");
/// The pages may use the style sheet and nothing else: no script, no image, no other origin.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request for a reload: the channel for its outcome.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Serves until `shutdown` completes, then finishes open requests. Without `reloads`, reload
/// requests are refused.
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
        .route("/monitors/{monitor}/features/{feature}", get(feature_page))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "pegel is healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(move || reload(reloads)))
        .route("/api/v1/monitors", get_json(api::monitors))
        .route("/api/v1/alerts", get_json(api::alerts))
        .route("/api/v1/sources", get_json(api::sources))
        .route("/api/v1/status", get_json(api::status))
        .layer(map_response(harden))
        .with_state(exporter)
}

/// A GET route that answers with JSON.
fn get_json(render: fn(&Exporter) -> Value) -> MethodRouter<Arc<Exporter>> {
    get(move |State(exporter): State<Arc<Exporter>>| async move { Json(render(&exporter)) })
}

/// Sets headers that keep browsers and proxies from running, embedding or caching a response.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
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
    let as_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|encodings| {
            encodings
                .split(',')
                .any(|encoding| encoding.trim().split(';').next() == Some("gzip"))
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
    let reasons = readiness::reasons(&exporter);
    let (status, mut lines) = if reasons.is_empty() {
        (StatusCode::OK, vec!["pegel is ready".to_owned()])
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons)
    };
    lines.extend(readiness::notices(&exporter.view()));
    (status, lines.join("\n") + "\n")
}

/// Requests a reload and waits for its outcome.
async fn reload(reloads: Option<mpsc::Sender<ReloadRequest>>) -> (StatusCode, String) {
    let Some(reloads) = reloads else {
        return (
            StatusCode::FORBIDDEN,
            "reload over HTTP is off: set web.enable_reload: true, or send SIGHUP\n".to_owned(),
        );
    };
    let (request, outcome) = oneshot::channel();
    // When nobody receives the request, `outcome` ends with an error.
    drop(reloads.send(request).await);
    match outcome.await {
        Ok(Ok(())) => (StatusCode::OK, "reloaded\n".to_owned()),
        Ok(Err(problem)) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("reload failed, keeping the current configuration: {problem}\n"),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "pegel is starting or shutting down\n".to_owned(),
        ),
    }
}

async fn landing(State(exporter): State<Arc<Exporter>>) -> Response {
    page_response(page::render(&exporter).map(Some))
}

async fn feature_page(
    State(exporter): State<Arc<Exporter>>,
    Path((monitor, feature)): Path<(String, String)>,
    Query(choice): Query<feature::Choice>,
) -> Response {
    page_response(feature::render(&exporter, (&monitor, &feature), &choice))
}

/// The response with a page, or with the reason why there is none.
fn page_response(page: askama::Result<Option<String>>) -> Response {
    match page {
        Ok(Some(html)) => Html(html).into_response(),
        Ok(None) => (
            StatusCode::NOT_FOUND,
            "no such monitor, feature, window or reference; see /\n",
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}
