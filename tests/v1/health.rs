//! Whoever watches over the server learns how it is.

use std::sync::atomic::Ordering;

use crate::app;

#[tokio::test]
async fn a_server_that_stops_is_alive_and_not_ready() {
    let app = app().await;
    app.request("GET", "/livez").await.is(200, "alive\n");
    app.request("GET", "/readyz").await.is(200, "ready\n");
    app.app.draining.store(true, Ordering::Relaxed);
    app.request("GET", "/livez").await.is(200, "alive\n");
    app.request("GET", "/readyz").await.is(503, "stopping\n");
}

#[tokio::test]
async fn a_server_without_its_record_is_not_ready() {
    let app = app().await;
    app.app.store.close().await.unwrap();
    let answer = app.request("GET", "/readyz").await;
    answer.is(503, "the record cannot be read\n");
}
