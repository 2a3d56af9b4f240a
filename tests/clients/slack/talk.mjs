// Slack's own library for Node against the stand-in: what it hears, a JSON line each on standard output.
import { createRequire } from "node:module";

const require = createRequire(process.env.CLIENTS + "/");
const { SocketModeClient } = require("@slack/socket-mode");

const say = (what) => console.log(JSON.stringify(what));
const client = new SocketModeClient({
  appToken: process.env.APP_TOKEN,
  clientOptions: { slackApiUrl: process.env.SLACK_API + "/" },
});
let heard = 0;
const took = async (type, text, ack) => {
  await ack();
  say({ did: "heard", type, text });
  heard += 1;
  if (heard === 2) {
    await client.disconnect();
    process.exit(0);
  }
};
client.on("slash_commands", ({ body, ack }) => took("slash_commands", body.text, ack));
client.on("message", ({ event, ack }) => took("events_api", event.text, ack));
await client.start();
say({ did: "connected" });
