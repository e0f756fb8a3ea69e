"""Attack: a stranger with a host under `allowed_hosts` calls the OAuth callback to get an account's data."""

import urllib.parse

from bridge import CLIENT_UUID, ENCRYPTION_KEY, Bridge, check
from kommo import Kommo

MORE = f"""
store.encryption_key = "{ENCRYPTION_KEY}"
integrations.main.redirect_uri = "https://bridge.example/oauth/callback"
"""


def callback(bridge, **query):
    query = urllib.parse.urlencode({"client_id": CLIENT_UUID, **query})
    return bridge.get(bridge.public, f"/oauth/callback?{query}", timeout=30)


def anonymous_callback(program):
    for opted_in in ["", "integrations.main.install_without_link = true"]:
        attempt(program, opted_in)


def attempt(program, opted_in):
    kommo, evil = Kommo(222), Kommo(222)
    with Bridge(program, [], allowed=[kommo, evil], more=MORE + opted_in) as bridge:
        bridge.read_log()
        link = bridge.run("accounts", "authorize", "--json").split('"link"')[1].split('"')[1]
        state = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["state"][0]
        status, page = callback(bridge, code="good", referer=kommo.host, state=state)
        check(status == 200, f"the account was not connected: {status} {page}")
        for _ in range(5):
            callback(bridge, code="junk", referer=evil.host, from_widget="1")
        check(not evil.requests, f"the bridge called the stranger: {[path for _, path, _, _ in evil.requests]}")
        check(bridge.bot(kommo, {"text": "a customer's words"}, "c1") == 200, "the bot was not answered with 200")
        check(kommo.wait_for(lambda: kommo.continues(), 20), "the bot was not continued")
        check(not evil.requests, "the stranger got the continue")
