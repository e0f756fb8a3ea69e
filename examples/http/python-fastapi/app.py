"""A handler for salesbot-bridge, written with FastAPI and the package `standardwebhooks`."""
import json, os, time
from urllib.error import HTTPError
from urllib.request import Request as Call, urlopen

import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI(openapi_url=None)
webhook = Webhook(os.environ["BRIDGE_SECRET"])

def complete(url: str):
    """Posts the answer until the bridge, which may be restarting, has it. FastAPI runs it on a thread."""
    body = json.dumps({"data": {"reply": "That took a moment."}}).encode()
    for pause in (1, 1, 2, 4, 8, 16):
        time.sleep(pause)
        try:
            return urlopen(Call(url, body, {"content-type": "application/json"}), timeout=10).close()
        except OSError as error:
            if isinstance(error, HTTPError) and error.code != 503:
                raise

@app.post("/")
async def handle(request: Request, background: BackgroundTasks):
    try:
        # Checks the timestamp, and compares the signature in constant time.
        event = webhook.verify(await request.body(), request.headers)
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401, "wrong signature, or old timestamp") from None
    if event["type"] == "ping":
        return {"data": {"reply": "pong"}}
    if str(event["data"]["input"].get("later")).lower() in ("true", "1"):
        if callback := event["data"].get("callback"):  # without it, the bridge says what to configure
            background.add_task(complete, callback["url"])
        return Response(status_code=202, background=background)
    return {"data": {"reply": f"You wrote: {event['data']['input'].get('message')}"}}

uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
