//! Which problems are reported, and in which order.

use super::*;

#[test]
fn problems_are_in_the_order_of_their_lines() {
    let text =
        "[workers]\nconcurrency = 0\n[server]\nlisten = \"x\"\n[admin]\nlisten = \"y\"\n[log]\nfilter = 5\n";
    let refusal = Folder::with(text).refusal(&[("BRIDGE_BUDGET__STORED", "0B")]);
    let keys: Vec<&str> = refusal.lines().skip(1).filter_map(|line| line.split(": ").nth(1)).collect();
    let wanted = [
        "integrations",
        "workers.concurrency",
        "server.listen",
        "admin.listen",
        "log.filter",
        "budget.stored",
    ];
    assert_eq!(keys, wanted, "{refusal}");
}

#[test]
fn a_misspelt_key_is_the_only_problem() {
    let id = "client_uuid = \"22222222-0c1e-4d57-8c6e-2f6f3f1f0d11\"";
    let tool = "kind = \"http\"\nurl = \"https://a.example/\"";
    for (text, misspelt) in [
        (format!("{MINIMAL}[integrations.b]\n{id}\nclient_secrt_file = \"x\"\n"), "client_secrt_file"),
        (format!("{MINIMAL}[integrations.b]\n{id}\nclient_secret_file = 5\n"), "client_secret_file"),
        (format!("{MINIMAL}[handlers.a]\n{tool}\nsecret_fil = \"x\"\n"), "secret_fil"),
        (format!("{MINIMAL}[handlers.a]\n{tool}\nsecrte = \"x\"\n"), "secrte"),
        (format!("{MINIMAL}[handlers.a]\n{tool}\nauht_file = \"x\"\n"), "auht_file"),
        (
            format!("{MINIMAL}[accounts.a]\nbase_url = \"https://a.kommo.com\"\nacces_token = \"t\"\n"),
            "acces_token",
        ),
        (
            format!("{MINIMAL}[admin]\nlisten = \"0.0.0.0:9\"\ntoken_fle = \"x\"\nread_token = \"t\"\n"),
            "token_fle",
        ),
        (MINIMAL.replace("[integrations", "[integratons"), "integratons"),
    ] {
        let folder = Folder::with(&text);
        let error = folder.load(&[]).unwrap_err();
        let keys: Vec<_> = error.problems().iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert!(keys.len() == 1 && keys[0].ends_with(misspelt), "{misspelt}: {error}");
    }
}
