//! The output of `simulate`: a configuration for the simulated account, and the first commands to try. Pure, so that
//! tests can compare the text, the JSON and the commands.

use serde_json::{Value, json};

use simulator::Options;

use super::simulate_bridge::BridgeAt;

/// The store of a bridge that replays a request: never the store from which the request comes.
const REPLAY_STORE: &str = "sqlite:replay.db";

/// The facts of one run of `simulate`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printed<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Options,
    /// The address of the bridge.
    pub(super) bridge: &'a BridgeAt,
    /// `store.encryption_key`: 32 bytes in base64.
    pub(super) encryption_key: &'a str,
    /// Whether the configuration contains the account.
    pub(super) long_lived: bool,
    /// The handler of a request that is replayed.
    pub(super) handler: Option<&'a str>,
}

impl Printed<'_> {
    pub(super) fn toml(&self) -> String {
        let Self { base_url, encryption_key, .. } = self;
        let Options { client_uuid, client_secret, access_token, redirect_uri, .. } = self.options;
        let host = self.host();
        let steps = self.steps();
        let steps: String = steps.iter().zip(1..).map(|(step, number)| step.text(number)).collect();
        let (advice, mark) = if self.long_lived {
            ("# The account with its long-lived token.", "")
        } else {
            ("# To skip authorization, remove the # from these lines.", "#")
        };
        format!(
            r#"# The Kommo simulator listens on {base_url} until Ctrl-C.
# This file is a bridge.toml for it. Follow these steps in order:
#
{steps}#
# To start a bot without a widget, and to let its first continue meet a fault:
#    {curl}
#
# For all requests that the simulator accepts, and the names of all faults: curl {base_url}/simulator/

[server]
{server}
[store]
{store}encryption_key = "{encryption_key}"

[integrations.simulator]
client_uuid = "{client_uuid}"
client_secret = "{client_secret}"
redirect_uri = "{redirect_uri}"

{advice}
{mark}[accounts.simulator]
{mark}base_url = "{base_url}"
{mark}access_token = "{access_token}"

[delivery]
allowed_hosts = ["{host}"]
insecure = true

[handlers.echo]
kind = "echo"
{replayed}"#,
            replayed = self.replayed(),
            store =
                if self.handler.is_some() { format!("url = \"{REPLAY_STORE}\"\n") } else { String::new() },
            curl = self.bot(),
            server = self.server(),
        )
    }

    /// The handler of the replayed request, unless it is `echo`.
    fn replayed(&self) -> String {
        self.replayed_handler().map_or_else(String::new, |name| {
            format!(
                "\n# The handler of the replayed request. Replace `kind` with the keys of yours, or remove both lines if your\n\
                 # program registers it.\n[handlers.{name}]\nkind = \"echo\"\n"
            )
        })
    }

    fn replayed_handler(&self) -> Option<&str> {
        self.handler.filter(|name| *name != "echo")
    }

    /// The keys of `[server]`, and `[admin]` if it is needed.
    fn server(&self) -> String {
        let BridgeAt { url, listen, is_proxied, admin } = self.bridge;
        let (advice, public_url) = if *is_proxied {
            (format!("# A proxy must forward {url} to this address.\n"), format!("public_url = \"{url}\"\n"))
        } else {
            (String::new(), String::new())
        };
        let admin = admin.map(|admin| format!("\n[admin]\nlisten = \"{admin}\"\n")).unwrap_or_default();
        format!("{advice}listen = \"{listen}\"\n{public_url}{admin}")
    }

    pub(super) fn json(&self) -> String {
        let Options { client_uuid, client_secret, access_token, redirect_uri, .. } = self.options;
        let account = json!({ "base_url": self.base_url, "access_token": access_token });
        let BridgeAt { url, listen, is_proxied, admin } = self.bridge;
        let mut config = json!({
            "server": { "listen": listen },
            "store": { "encryption_key": self.encryption_key },
            "integrations": { "simulator": {
                "client_uuid": client_uuid, "client_secret": client_secret, "redirect_uri": redirect_uri } },
            "delivery": { "allowed_hosts": [self.host()], "insecure": true },
            "handlers": { "echo": { "kind": "echo" } },
        });
        if *is_proxied {
            config["server"]["public_url"] = json!(url);
        }
        if let Some(admin) = admin {
            config["admin"] = json!({ "listen": admin });
        }
        if self.handler.is_some() {
            config["store"]["url"] = json!(REPLAY_STORE);
        }
        if let Some(name) = self.replayed_handler() {
            config["handlers"][name] = json!({ "kind": "echo" });
        }
        if self.long_lived {
            config["accounts"] = json!({ "simulator": account });
        }
        let steps: Vec<_> = self.steps().iter().map(Step::json).collect();
        let whole = json!({
            "base_url": self.base_url,
            "start_a_bot": self.bot(),
            "steps": steps,
            "long_lived": account,
            "config": config,
        });
        format!("{whole}\n")
    }

    fn steps(&self) -> Vec<Step> {
        let Self { base_url, bridge: BridgeAt { url: bridge, .. }, .. } = self;
        let waits = "Start a bot with it. Its answer waits until the account is connected";
        let starts = if self.long_lived { "Start a bot with it" } else { waits };
        let mut steps = vec![
            Step::new(
                "Run the bridge, in a second terminal",
                ["salesbot-bridge serve --config bridge.toml".into()],
            ),
            Step::new(
                "Create a widget package",
                [format!(
                    "salesbot-bridge widget-package --url {bridge}/widget_request/echo --insecure --output widget.zip \
                 --name Echo --field 'message={{{{message_text}}}}'"
                )],
            ),
            Step::new(
                "Upload it",
                [format!(
                    "curl {base_url}/simulator/widgets -H 'Content-Type: application/zip' --data-binary @widget.zip"
                )],
            ),
            Step::new(
                starts,
                [curl(
                    base_url,
                    &json!({
                "widget": "widget_1", "variables": { "message_text": "hi", "lead.id": "5" } }),
                )],
            ),
        ];
        if !self.long_lived {
            steps.push(Step::new(
                "Connect the account. The first command prints a LINK; the second opens it, which grants access",
                [
                    format!("salesbot-bridge accounts authorize --config bridge.toml --site {base_url}"),
                    "curl -L 'LINK'".to_owned(),
                ],
            ));
        }
        steps.push(Step::new(
            "Check that the bots were continued",
            [format!("curl {base_url}/simulator/bots")],
        ));
        steps
    }

    fn bot(&self) -> String {
        let url = format!("{}/widget_request/echo", self.bridge.url);
        curl(self.base_url, &json!({ "url": url, "data": { "message": "hi" }, "faults": ["500"] }))
    }

    fn host(&self) -> &str {
        self.base_url.strip_prefix("http://").unwrap_or(self.base_url)
    }
}

/// One step, and its commands.
#[derive(Debug)]
struct Step {
    what: &'static str,
    commands: Vec<String>,
}

impl Step {
    fn new(what: &'static str, commands: impl Into<Vec<String>>) -> Self {
        Self { what, commands: commands.into() }
    }

    fn text(&self, number: u32) -> String {
        let commands: String = self.commands.iter().map(|command| format!("#    {command}\n")).collect();
        format!("# {number}. {}:\n{commands}", self.what)
    }

    fn json(&self) -> Value {
        json!({ "what": self.what, "commands": self.commands })
    }
}

fn curl(base_url: &str, order: &Value) -> String {
    format!("curl {base_url}/simulator/bots -H 'Content-Type: application/json' -d '{order}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> BridgeAt {
        BridgeAt::new(&url.parse().unwrap(), "127.0.0.1:8090".parse().unwrap()).unwrap()
    }

    fn printed<'a>(options: &'a Options, bridge: &'a BridgeAt, long_lived: bool) -> Printed<'a> {
        let handler = long_lived.then_some("greet");
        Printed {
            base_url: "http://127.0.0.1:8090",
            options,
            bridge,
            encryption_key: "a2V5",
            long_lived,
            handler,
        }
    }

    #[test]
    fn text_and_json_contain_the_same_configuration() {
        let options = Options::default();
        let cases = [
            (false, "http://127.0.0.1:8080", json!({ "listen": "127.0.0.1:8080" }), Value::Null),
            (
                true,
                "http://[::1]:9090",
                json!({ "listen": "[::1]:9090" }),
                json!({ "listen": "127.0.0.1:9091" }),
            ),
            (
                true,
                "https://bots.example.com",
                json!({ "listen": "127.0.0.1:8080", "public_url": "https://bots.example.com" }),
                Value::Null,
            ),
        ];
        for (long_lived, url, server, admin) in cases {
            let bridge = at(url);
            let printed = printed(&options, &bridge, long_lived);
            let from_toml: Value = toml::from_str(&printed.toml()).unwrap();
            let from_json: Value = serde_json::from_str(&printed.json()).unwrap();
            assert_eq!(from_toml, from_json["config"]);
            assert_eq!((&from_toml["server"], &from_toml["admin"]), (&server, &admin));
            assert_eq!(from_toml.get("accounts").is_some(), long_lived);
            assert_eq!(from_toml["handlers"].get("greet").is_some(), long_lived);
            assert_eq!(from_toml["delivery"]["allowed_hosts"], json!(["127.0.0.1:8090"]));
            assert_eq!(from_json["long_lived"]["access_token"], options.access_token);
        }
    }

    #[test]
    fn removing_the_marks_adds_the_long_lived_account() {
        let options = Options::default();
        let text = printed(&options, &at("http://127.0.0.1:8080"), false).toml();
        assert!(text.contains("remove the # from these lines"));
        let unmarked: Vec<_> = text
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.is_empty() && !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .collect();
        let unmarked: Value = toml::from_str(&unmarked.join("\n")).unwrap();
        let bridge = at("http://127.0.0.1:8080");
        let marked = Printed { handler: None, ..printed(&options, &bridge, true) };
        let marked: Value = serde_json::from_str(&marked.json()).unwrap();
        assert_eq!(unmarked, marked["config"]);
    }

    #[test]
    fn the_steps_are_numbered_and_include_authorization_only_if_needed() {
        let options = Options::default();
        let bridge = at("http://127.0.0.1:8080");
        for (long_lived, count) in [(false, 6), (true, 5)] {
            let printed = printed(&options, &bridge, long_lived);
            let text = printed.toml();
            for number in 1..=count {
                assert!(text.contains(&format!("\n# {number}. ")), "{number} in {text}");
            }
            assert!(!text.contains(&format!("\n# {}. ", count + 1)));
            assert_eq!(text.contains("accounts authorize"), !long_lived);
            let json: Value = serde_json::from_str(&printed.json()).unwrap();
            assert_eq!(json["steps"].as_array().unwrap().len(), count);
            assert!(text.contains("--field 'message={{message_text}}'"), "{text}");
        }
    }

    #[test]
    fn the_printed_curl_commands_send_json_to_the_simulator() {
        let options = Options::default();
        let bridge = at("http://127.0.0.1:8080");
        let printed = printed(&options, &bridge, false);
        let orders: Vec<Value> = printed
            .toml()
            .lines()
            .filter_map(|line| line.split_once(" -H 'Content-Type: application/json' -d "))
            .map(|(command, order)| {
                assert_eq!(command, "#    curl http://127.0.0.1:8090/simulator/bots");
                serde_json::from_str(order.trim_matches('\'')).unwrap()
            })
            .collect();
        assert_eq!(orders[0]["widget"], "widget_1");
        assert_eq!(orders[1]["url"], "http://127.0.0.1:8080/widget_request/echo");
    }
}
