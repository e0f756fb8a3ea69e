//! Tests that no OAuth secret is disclosed or stored unencrypted: in the database, in the most verbose log, by the admin
//! listener, or in a response to a callback.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use simulator::{Fault, Plan, Simulator};

use crate::connected::{KEY, accounts, at, connect, installable, kommos};
use crate::home::Home;
use crate::serve::Serve;

/// Takes an account through its whole life: a waiting installation, a connection, calls, a renewal after a 401, refused
/// callbacks, a disconnection, and another connection. Returns the texts of all responses.
async fn run_account_life(home: &Home, serve: &Serve, kommo: &Simulator) -> Vec<String> {
    let kept = at(serve, &kommo.install_callback_url().unwrap());
    let mut texts = vec![serve.client.get(kept).send().await.unwrap().text().await.unwrap()];
    texts.push(accounts(home, &["list", "--json"]).expect(0).out);
    assert!(
        texts.iter().all(|text| text.contains("unconfirmed") || text.contains("expires_at")),
        "{texts:?}"
    );
    texts.push(connect(home, serve, kommo).await.text().await.unwrap());
    let ask = async || {
        let bot = kommo.bot(Plan::with_data(json!({ "n": "1" })));
        bot.call(&serve.url("echo")).await.unwrap();
        bot.continued().await;
    };
    ask().await;
    kommo.expire_access_tokens();
    ask().await;
    let grants = kommo.oauth_calls().into_iter().filter_map(|call| call.grant_type);
    assert!(grants.collect::<Vec<_>>().contains(&"refresh_token".to_owned()), "the token was renewed");

    let installed = kommo.install_callback_url().unwrap();
    let mut callbacks = vec![
        installed.replace("code=", "code=&x="),
        installed.replace("referer=", "referer=evil.example%2F"),
        kommo.callback_url("a-forged-state").unwrap(),
        format!("{installed}&code=another"),
        installed,
    ];
    callbacks.push(callbacks[4].clone());
    for callback in &callbacks {
        for accept in ["text/html", "*/*"] {
            let answer = serve.client.get(at(serve, callback)).header("accept", accept).send().await.unwrap();
            texts.push(answer.text().await.unwrap());
        }
    }
    let base = format!("http://{}", serve.public);
    let forged = kommo.revoke_url(&base).replace("signature=", "signature=00");
    texts.push(serve.client.get(forged).send().await.unwrap().text().await.unwrap());
    kommo.set_outage(Some(Fault::Status(503)));
    let waiting = kommo.bot(Plan::default());
    waiting.call(&serve.url("echo")).await.unwrap();
    serve.reaches("delivering", 1).await;
    texts.push(kommo.disable(&base).await.unwrap().body);
    kommo.set_outage(None);
    texts.push(connect(home, serve, kommo).await.text().await.unwrap());
    ask().await;
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_oauth_secret_appears_in_the_store_the_log_or_a_response() {
    let both = kommos().await;
    let kommo = &both[1];
    let home = installable(&both);
    let serve = Serve::start(home.command(&["serve", "-vv"]));
    let mut texts = run_account_life(&home, &serve, kommo).await;
    for path in ["/metrics", "/health/ready", "/api/v1/jobs?limit=500", "/api/v1/stats"] {
        let answer = serve.client.get(format!("http://{}{path}", serve.admin)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        texts.push(answer.text().await.unwrap());
    }
    texts.push(accounts(&home, &["list", "--json"]).expect(0).out);
    // Read the files before the stop, while the write-ahead log exists.
    let mut places = files(&home);
    let has_log = places.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty());
    assert!(has_log, "the write-ahead log exists");
    let ended = serve.stop();
    assert!(
        ended.err.contains("\"level\":\"DEBUG\"") && ended.err.contains("was connected"),
        "the log is verbose"
    );
    places.extend(files(&home));
    places.extend(texts.into_iter().map(|text| ("a response".to_owned(), text.into_bytes())));
    places.push(("stdout".to_owned(), ended.out.into_bytes()));
    places.push(("stderr".to_owned(), ended.err.into_bytes()));

    let mut secrets: Vec<Vec<u8>> = kommo.issued_secrets().into_iter().map(String::into_bytes).collect();
    assert!(secrets.len() > 8, "there are codes and token pairs of three connections and a renewal");
    secrets.push(kommo.options().client_secret.clone().into_bytes());
    secrets.push(KEY.as_bytes().to_vec());
    secrets.push(BASE64_STANDARD.decode(KEY).unwrap());
    for secret in &secrets {
        for (name, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{name} holds {}", String::from_utf8_lossy(secret));
        }
    }
}

/// The database and the files beside it.
fn files(home: &Home) -> Vec<(String, Vec<u8>)> {
    let folder = home.path("");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_store =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("bridge.db"));
    of_store.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}
