//! Helpers for tests with accounts that an operator connects: a configuration, and the operator's steps.

use std::fs;

use reqwest::Client;
use reqwest::redirect::Policy;
use simulator::{Options, Simulator};
use url::Url;

use crate::home::Home;
use crate::process::Ended;
use crate::serve::Serve;

/// The redirect URI in Kommo. A test learns the bridge's port only later, so [`at`] replaces the host and port.
pub const REDIRECT_URI: &str = "http://bridge.test/oauth/callback";
pub const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Two Kommo accounts of the same integration, each at a separate address.
pub async fn kommos() -> [Simulator; 2] {
    let [first, second] = [1, 2].map(|number| Simulator::start(Options::numbered(number)));
    let both = [first.await.unwrap(), second.await.unwrap()];
    both.iter().for_each(|kommo| kommo.set_redirect_uri(REDIRECT_URI));
    both
}

/// A home with `accounts.shop` for the first account, OAuth for the second, and the TOML in `more`.
pub fn home([shop, other]: &[Simulator; 2], more: &str) -> Home {
    let home = Home::new(shop, "");
    let host = |kommo: &Simulator| kommo.base_url().trim_start_matches("http://").to_owned();
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text
        .replace("accounts.main", "accounts.shop")
        .replace(&format!("[\"{}\"]", host(shop)), &format!("[\"{}\", \"{}\"]", host(shop), host(other)))
        .replace("client_uuid =", &format!("redirect_uri = \"{REDIRECT_URI}\", client_uuid ="));
    fs::write(home.config(), format!("{text}\nstore.encryption_key = \"{KEY}\"\n{more}")).unwrap();
    home
}

/// The same, with `install_without_link`.
pub fn installable(both: &[Simulator; 2]) -> Home {
    let home = home(both, "");
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text.replace("redirect_uri =", "install_without_link = true, redirect_uri =");
    fs::write(home.config(), text).unwrap();
    home
}

/// Runs `accounts …` of the real program.
pub fn accounts(home: &Home, arguments: &[&str]) -> Ended {
    home.run(&[&["accounts"], arguments].concat())
}

/// Creates a link, opens it as an operator does, and follows the redirect to the bridge. Returns the bridge's response.
pub async fn connect(home: &Home, serve: &Serve, kommo: &Simulator) -> reqwest::Response {
    let link = accounts(home, &["authorize", "--json", "--site", kommo.base_url()]).expect(0).json();
    let browser = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let granted = browser.get(link["link"].as_str().unwrap()).send().await.unwrap();
    let back = granted.headers()["location"].to_str().unwrap().to_owned();
    browser.get(at(serve, &back)).header("accept", "text/html").send().await.unwrap()
}

/// The callback URL with the host and port of the bridge.
pub fn at(serve: &Serve, callback: &str) -> Url {
    let mut url: Url = callback.parse().unwrap();
    url.set_ip_host(serve.public.ip()).unwrap();
    url.set_port(Some(serve.public.port())).unwrap();
    url
}
