//! A host that matches `delivery.allowed_hosts` but belongs to someone else: it returns tokens of any account to
//! anyone, and records its calls.

use std::sync::{Arc, Mutex};

use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A host that claims to be an account's.
pub(super) struct Evil {
    pub(super) origin: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Evil {
    /// Starts a host whose tokens and answers name the account `claims`.
    pub(super) async fn claiming(claims: i64) -> Self {
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let payload = json!({ "account_id": claims }).to_string();
        let access = format!("x.{}.y", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let tokens = json!({ "access_token": access, "refresh_token": "r", "expires_in": 86_400 });
        let heard = asked.clone();
        let router = Router::new()
            .route(
                "/oauth2/access_token",
                post(async move |Json(body): Json<Value>| {
                    heard.lock().unwrap().push(body);
                    Json(tokens)
                }),
            )
            .route("/api/v4/account", get(async move || Json(json!({ "id": claims }))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, asked }
    }

    /// Returns its address as a `referer`.
    pub(super) fn host(&self) -> String {
        super::host(&self.origin).to_owned()
    }

    /// Returns the number of calls for tokens. Each of them contained a secret.
    pub(super) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}
