"""Judges what the bot draws by the block classes of Slack's own Python library: one JSON line each on standard input,
[kind, content]; what they refuse on standard output, and an exit code of 1."""

import json
import sys

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View


def blocks(content):
    for block in content:
        parsed = Block.parse(block)
        if parsed is None:
            raise ValueError(f"no such block: {block.get('type')}")
        parsed.validate_json()
        # What the library does not know of a block, it drops: nothing of ours may be unknown.
        known = parsed.to_dict()
        unknown = [key for key in block if key not in known]
        if unknown:
            raise ValueError(f"{block['type']} has no {unknown}")


def judge(kind, content):
    if kind == "message":
        blocks(content)
    else:
        view = View(**content)
        view.validate_json()
        view.to_dict()
        blocks(content["blocks"])


refused = 0
judged = 0
for line in sys.stdin:
    kind, content = json.loads(line)
    judged += 1
    try:
        judge(kind, content)
    except Exception as error:  # whatever it is, it is told
        refused += 1
        print(f"{kind}: {error}: {json.dumps(content)}")
print(f"{judged} judged, {refused} refused")
sys.exit(1 if refused else 0)
