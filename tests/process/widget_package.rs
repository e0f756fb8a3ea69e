//! Tests of `widget-package`: the package, the output, and the errors.

use std::fs;
use std::path::{Path, PathBuf};

use ::widget_package::{check, version_of};
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Ended, program, run};

const URL: &str = "https://bridge.example.com/widget_request/greet";

/// A folder without a configuration, in which the command runs.
struct Shop(TempDir);

impl Shop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = program();
        command.arg("widget-package").args(arguments).current_dir(self.0.path());
        run(command)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn version(file: &Path) -> String {
    version_of(&fs::read(file).unwrap()).unwrap().to_string()
}

#[test]
fn the_package_is_written_and_the_output_lists_the_next_steps() {
    let shop = Shop::new();
    let ended =
        shop.run(&["--url", URL, "--field", "lead.id={{lead.id}}", "--exit", "silent=Say nothing"]).expect(0);
    assert_eq!(ended.err, "");
    assert_eq!(shop.names(), ["widget.zip"], "nothing else is left behind");
    assert_eq!(check(&fs::read(shop.path("widget.zip")).unwrap()), []);
    let at = |words: &str| ended.out.find(words).unwrap_or_else(|| panic!("no `{words}` in\n{}", ended.out));
    for words in [
        URL,
        "version 1.0.0",
        "lead.id = {{lead.id}}",
        "silent (Say nothing)",
        "en, es, pt, tr, id",
        "script.js",
    ] {
        at(words);
    }
    let steps = [
        "Advanced plan or higher",
        "Upload widget.zip",
        "`greet`",
        "save its settings once",
        "Add the block Greet",
        "leave `superseded` unconnected",
        "a higher --version",
    ];
    assert!(steps.map(at).is_sorted(), "{}", ended.out);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::write(shop.path("other"), "").unwrap();
        let mode = |name: &str| fs::metadata(shop.path(name)).unwrap().permissions().mode();
        assert_eq!(mode("widget.zip"), mode("other"), "as readable as any other file");
    }
}

#[test]
fn the_json_output_describes_the_package() {
    let shop = Shop::new();
    let arguments = [
        "--json",
        "--url",
        URL,
        "--name",
        "Cake shop",
        "--version",
        "1.2.3",
        "--locale",
        "es",
        "--output",
        "my.zip",
        "--field",
        "lead[price]:numeric={{lead.price}}",
        "--exit",
        "fail=Nada",
    ];
    let output = shop.run(&arguments).expect(0).json();
    let written = fs::read(shop.path("my.zip")).unwrap();
    assert_eq!(output["bytes"], json!(written.len()));
    assert_eq!(version(&shop.path("my.zip")), "1.2.3");
    for (key, value) in [
        ("file", json!("my.zip")),
        ("version", json!("1.2.3")),
        ("name", json!("Cake shop")),
        ("block", json!("greet")),
        ("handler", json!("greet")),
        ("url", json!(URL)),
        ("locales", json!(["es"])),
        (
            "fields",
            json!([{ "name": "lead.price", "key": "lead_price", "type": "numeric", "default": "{{lead.price}}" }]),
        ),
        (
            "exits",
            json!([
                { "code": "success", "title": "Éxito" },
                { "code": "superseded", "title": "Unido a un mensaje posterior" },
                { "code": "fail", "title": "Nada" },
            ]),
        ),
    ] {
        assert_eq!(output[key], value, "{key}");
    }
    let names: Vec<&str> =
        output["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["manifest.json", "script.js", "i18n/es.json"]);
    assert_eq!((names.len(), output["next"].as_array().unwrap().len()), (9, 6));
}

#[test]
fn a_file_is_replaced_only_with_force_and_with_advice_on_its_version() {
    let shop = Shop::new();
    shop.run(&["--url", URL, "--version", "2.0.0"]).expect(0);
    let before = fs::read(shop.path("widget.zip")).unwrap();
    let refused = shop.run(&["--url", URL]).expect(2);
    assert!(refused.err.contains("--output: widget.zip already exists"), "{}", refused.err);
    assert!(refused.err.contains("--force") && refused.out.is_empty(), "{}", refused.err);
    assert!(fs::read(shop.path("widget.zip")).unwrap() == before);

    let forced = shop.run(&["--url", URL, "--force", "--json"]).expect(0);
    assert_eq!(
        (forced.json()["version"].clone(), version(&shop.path("widget.zip"))),
        (json!("1.0.0"), "1.0.0".to_owned())
    );
    assert!(
        forced.err.contains("had version 2.0.0") && forced.err.contains("--version 2.0.1"),
        "{}",
        forced.err
    );
    assert_eq!(shop.run(&["--url", URL, "--force", "--version", "1.0.1"]).expect(0).err, "");
    assert_eq!(shop.names(), ["widget.zip"]);
}

#[test]
fn wrong_usage_exits_with_2_and_every_mistake_and_writes_nothing() {
    let shop = Shop::new();
    fs::write(shop.path("logo.gif"), "GIF89a").unwrap();
    let arguments = [
        "--url",
        "http://192.168.1.5/widget_request/greet",
        "--locale",
        "xx",
        "--field",
        "message",
        "--exit",
        "X=1",
        "--version",
        "one",
        "--support-email",
        "no-address",
        "--logo",
        "logo.gif",
        "--name",
        "",
    ];
    let refused = shop.run(&arguments).expect(2);
    assert_eq!(refused.out, "");
    for option in ["url", "locale", "field", "exit", "version", "support-email", "logo", "name"] {
        assert!(refused.err.contains(&format!("  --{option}: ")), "--{option} in\n{}", refused.err);
    }
    let refused = shop.run(&["--url", URL, "--logo", "missing.png"]).expect(2);
    assert!(refused.err.contains("--logo: missing.png cannot be read"), "{}", refused.err);
    for wrong in
        [&[][..], &["--url", URL, "--handler", "greet"], &["--handler", "a b"], &["--url", URL, "--fly"]]
    {
        let refused = shop.run(wrong).expect(2);
        assert!(refused.err.contains("--help"), "{wrong:?}: {}", refused.err);
    }
    let refused =
        shop.run(&["--url", "https://user:hunter2@bridge.example.com/widget_request/greet"]).expect(2);
    assert!(refused.err.contains("--url: ") && !refused.err.contains("hunter2"), "{}", refused.err);
    assert_eq!(shop.names(), ["logo.gif"]);
}

#[test]
fn only_regular_files_are_replaced_and_an_endless_logo_is_refused() {
    let shop = Shop::new();
    fs::create_dir(shop.path("folder")).unwrap();
    for output in ["folder", "/dev/null"] {
        let ended = shop.run(&["--url", URL, "--force", "--output", output]).expect(2);
        assert!(ended.err.contains(&format!("--output: {output} is not a regular file")), "{}", ended.err);
    }
    let ended = shop.run(&["--url", URL, "--logo", "/dev/zero"]).expect(2);
    assert!(ended.err.contains("--logo: /dev/zero is larger than 32 MiB"), "{}", ended.err);
    assert_eq!(shop.names(), ["folder"]);
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_exit_status_1() {
    let shop = Shop::new();
    let failed = shop.run(&["--url", URL, "--output", "no/such/folder/widget.zip"]).expect(1);
    assert!(failed.err.contains("cannot write no/such/folder/widget.zip"), "{}", failed.err);
    assert_eq!(shop.names(), [""; 0]);
}

#[test]
fn a_handler_is_called_at_the_public_url_of_the_configuration() {
    let shop = Shop::new();
    let integration = "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"s\"\n";
    let configured =
        |more: &str| fs::write(shop.path("bridge.toml"), format!("{more}\n{integration}")).unwrap();
    let handler = ["--config", "bridge.toml", "--handler", "greet", "--json", "--force"];

    configured("server.public_url = \"https://bots.example.com\"");
    let output = shop.run(&handler).expect(0).json();
    assert_eq!(output["url"], "https://bots.example.com/widget_request/greet");

    configured("server.public_url = \"http://127.0.0.1:8080\"");
    let refused = shop.run(&handler).expect(2);
    assert!(refused.err.contains("--url: must begin with https://"), "{}", refused.err);
    let taken = shop.run(&[&handler[..], &["--insecure"]].concat()).expect(0).json();
    assert!(taken["next"][0].as_str().unwrap().contains("simulate"), "{taken}");

    configured("");
    let refused = shop.run(&handler).expect(2);
    assert!(refused.err.contains("--handler: needs server.public_url"), "{}", refused.err);
    assert!(!refused.err.contains("--url: "), "{}", refused.err);

    fs::write(shop.path("bridge.toml"), "server.lisen = 1\n").unwrap();
    assert!(shop.run(&handler).expect(2).err.contains("server.lisen: unknown key"));
    shop.run(&["--config", "bridge.toml", "--url", URL, "--force"]).expect(0);
}
