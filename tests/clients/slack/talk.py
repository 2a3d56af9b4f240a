"""Slack's own Python library against the stand-in: what it says and hears, a JSON line each on standard output."""

import json
import os
import sys
import threading

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse


def say(**what):
    print(json.dumps(what), flush=True)


base = os.environ["SLACK_API"] + "/"
web = WebClient(token=os.environ["BOT_TOKEN"], base_url=base)
say(did="auth", user=web.auth_test()["user"])
sent = web.chat_postMessage(channel="#incidents", text="hello", metadata={"event_type": "t", "event_payload": {"n": "1"}})
web.chat_postMessage(channel=sent["channel"], text="reply", thread_ts=sent["ts"])
web.chat_update(channel=sent["channel"], ts=sent["ts"], text="hello, edited")
replies = web.conversations_replies(channel=sent["channel"], ts=sent["ts"], include_all_metadata=True)["messages"]
say(did="replies", texts=[message["text"] for message in replies], nonce=replies[0]["metadata"]["event_payload"]["n"])
names = [channel["name"] for page in web.conversations_list(limit=2) for channel in page["channels"]]
say(did="channels", names=sorted(names))
for error, call in {
    "channel_not_found": lambda: web.chat_postMessage(channel="#nowhere", text="x"),
    "no_text": lambda: web.chat_postMessage(channel="#incidents"),
    "invalid_blocks": lambda: web.chat_postMessage(channel="#incidents", text="x", blocks=[{"type": "xyzzy"}]),
    "invalid_trigger_id": lambda: web.views_open(trigger_id="1.2", view={"type": "modal"}),
    "user_not_found": lambda: web.users_info(user="U404"),
    "not_allowed_token_type": lambda: web.apps_connections_open(app_token=os.environ["BOT_TOKEN"]),
}.items():
    try:
        call()
        say(did="refused", error=error, got=None)
    except SlackApiError as refusal:
        say(did="refused", error=error, got=refusal.response["error"])

verifier = SignatureVerifier(os.environ["SIGNING_SECRET"])
signed = json.loads(os.environ["SIGNED"])
say(did="signature", good=verifier.is_valid(signed["body"], signed["at"], signed["signature"]))

heard = threading.Semaphore(0)


def listener(client, request):
    client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
    say(did="heard", type=request.type, text=request.payload.get("text") or request.payload.get("event", {}).get("text"))
    heard.release()


socket = SocketModeClient(app_token=os.environ["APP_TOKEN"], web_client=web)
socket.socket_mode_request_listeners.append(listener)
socket.connect()
say(did="connected")
for _ in range(2):
    if not heard.acquire(timeout=60):
        sys.exit("nothing was heard")
socket.close()
