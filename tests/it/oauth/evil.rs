//! An allowed host that an attacker controls: a callback that anyone can send does not make the bridge call it.

use tokio::net::TcpListener;

use super::*;
use crate::played::kommo;

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_callback_sends_neither_the_secret_nor_continues_to_its_host() {
    for install_without_link in [false, true] {
        let kommo = kommo().await;
        let evil = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = evil.local_addr().unwrap().to_string();
        let own = crate::setup::host(&kommo);
        let bridge = setup(&[&kommo])
            .config(&format!("integrations.main.install_without_link = {install_without_link}"))
            .config(&format!("delivery.allowed_hosts = [\"{own}\", \"{host}\"]"))
            .start()
            .await;
        connect(&bridge, &kommo).await;
        let callback = changed(&kommo.install_callback_url().unwrap(), "code", "junk");
        let (status, body) = call_back(&bridge, &changed(&callback, "referer", &host)).await;
        let (expected, says) = if install_without_link { (202, "unconfirmed") } else { (403, "link") };
        assert_eq!(status, expected, "{body}");
        assert!(body.to_string().contains(says), "{body}");
        check_continue(&bridge, &kommo).await;
        let listed = accounts(&bridge, &["list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed["accounts"][0]["host"], own, "{listed}");
        let arrived = futures_util::FutureExt::now_or_never(evil.accept());
        assert!(arrived.is_none(), "something was sent to the host");
    }
}
