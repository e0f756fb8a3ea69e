// A handler for salesbot-bridge, written for Node.js with the package `standardwebhooks`.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.BRIDGE_SECRET);

async function complete(url) {
  const body = JSON.stringify({ data: { reply: "That took a moment." } });
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  if (!response.ok) throw new Error(`the bridge answered the callback with ${response.status}`);
}

function answer(event) {
  if (event.type === "ping") return [200, { data: { reply: "pong" } }];
  if (["true", "1"].includes(String(event.data.input.later))) {
    // Without a callback, the bridge says what to configure.
    const { callback } = event.data;
    if (callback) setTimeout(() => complete(callback.url).catch(console.error), 1000);
    return [202, {}];
  }
  return [200, { data: { reply: `You wrote: ${event.data.input.message}` } }];
}

async function handle(request) {
  let event;
  try {
    // Checks the timestamp, and compares the signature in constant time.
    event = webhook.verify(await text(request), request.headers);
  } catch (error) {
    return [401, { title: error.message }];
  }
  return answer(event);
}

createServer(async (request, response) => {
  const [status, value] = await handle(request).catch((error) => [500, { title: error.message }]);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}).listen(Number(process.env.PORT), "127.0.0.1");
