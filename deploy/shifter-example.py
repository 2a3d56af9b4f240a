#!/usr/bin/env python3
"""A shifter for lastgood (kind = "exec"), to start your own from. Python's standard library is all it needs.

It moves traffic between the clusters of a weighted route in one or several Envoys, by overriding the weights in their
runtime. lastgood can do that by itself (kind = "envoy"); it is done here once more because it shows everything that a
shifter has to think of: read before writing, several routers, who can't be reached, what another hand did meanwhile.

    [services.checkout.traffic]
    strategy = "blue-green"
    kind = "exec"
    command = ["/usr/local/bin/shifter-example.py"]
    pools = ["blue", "green"]
    environment = { ENVOYS = "http://10.0.0.2:9901,http://10.0.0.3:9901", PREFIX = "routing.checkout" }

Without pools it replaces what runs (strategy = "rolling"): it asks every server which digest it runs, and ROLL is a program of
yours that has your deployment system roll the service to a digest. ROLL gets digest and version, and ends when that was accepted.

    [services.search.traffic]
    strategy = "rolling"
    kind = "exec"
    command = ["/usr/local/bin/shifter-example.py"]
    environment = { SERVERS = "http://10.0.0.5:8080,http://10.0.0.6:8080", ROLL = "/usr/local/bin/roll-search" }

One request comes on standard input. Lines of JSON go to standard output: any number of {"progress": "…"}, and at the end
{"answer": …} or {"error": "…", "detail": "…"}. docs/adapters.md has the whole contract. Try it by hand:

    echo '{"version":1,"operation":"observe","service":"checkout","pools":["blue","green"]}' | ENVOYS=… PREFIX=… shifter-example.py
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

VERSION = 1
# Shorter than lastgood's own limit for the whole call, so that it is this program that says what did not answer.
SECONDS = 1.5


class Refused(Exception):
    """Ends the call with one of the contract's errors."""

    def __init__(self, error, detail):
        super().__init__(detail)
        self.error, self.detail = error, detail


def say(**line):
    print(json.dumps(line), flush=True)


# Pool and cluster have the same name, unless CLUSTER_<pool> says otherwise.
def cluster(pool):
    return os.environ.get("CLUSTER_" + pool, pool)


def get(envoy, path):
    with urllib.request.urlopen(f"{envoy}/{path}", timeout=SECONDS) as answer:
        return json.load(answer)


def weighted_route(envoy, prefix):
    """The clusters and configured weights of the route with this runtime_key_prefix."""
    left = [get(envoy, f"config_dump?resource={kind}_route_configs") for kind in ("static", "dynamic")]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            route = value.get("weighted_clusters") or {}
            if route.get("runtime_key_prefix") == prefix:
                return {part["name"]: int(part.get("weight", 0)) for part in route["clusters"]}
            left.extend(value.values())
    raise Refused("not_found", f"{envoy} has no weighted route with runtime_key_prefix {prefix}")


def read(envoy, pools, prefix):
    """Shares and capacity as one Envoy has them now."""
    weights = weighted_route(envoy, prefix)
    for key, entry in get(envoy, "runtime?format=json").get("entries", {}).items():
        name = key.removeprefix(prefix + ".")
        if key.startswith(prefix + ".") and name in weights:
            weights[name] = int(entry["final_value"])
    missing = [cluster(pool) for pool in pools if cluster(pool) not in weights]
    if missing:
        raise Refused("not_found", f"{envoy}: the weighted route has no cluster {', '.join(missing)}")
    total = sum(weights.values())
    shares = {pool: round(weights[cluster(pool)] * 100 / total) if total else 0 for pool in pools}
    hosts = {c["name"]: c.get("host_statuses", []) for c in get(envoy, "clusters?format=json")["cluster_statuses"]}
    capacity = {}
    for pool in pools:
        members = hosts.get(cluster(pool), [])
        alive = sum(not any(flag is True for flag in host.get("health_status", {}).values()) for host in members)
        capacity[pool] = {"alive": alive, "all": len(members)}
    return {"shares": shares, "capacity": capacity}


def read_all(envoys, pools, prefix):
    readings, unreachable = {}, []
    for envoy in envoys:
        try:
            readings[envoy] = read(envoy, pools, prefix)
        except (OSError, ValueError) as error:
            unreachable.append({"instance": envoy, "detail": str(error)})
    return readings, unreachable


def picture(readings, unreachable, pools):
    """All readings as one. While routers disagree, each pool has the largest share that any of them gives it."""
    if not readings:
        raise Refused("unavailable", "; ".join(f"{u['instance']}: {u['detail']}" for u in unreachable))
    all_of = list(readings.values())
    seen = {
        "shares": {pool: max(one["shares"][pool] for one in all_of) for pool in pools},
        "capacity": {
            pool: {
                "alive": min(one["capacity"][pool]["alive"] for one in all_of),
                "all": max(one["capacity"][pool]["all"] for one in all_of),
            }
            for pool in pools
        },
        "unreachable": unreachable,
    }
    if any(one["shares"] != all_of[0]["shares"] for one in all_of):
        seen["disagreement"] = ", but ".join(f"{envoy} gives {spell(one['shares'])}" for envoy, one in readings.items())
    return seen


def spell(shares):
    return ", ".join(f"{pool} {share} %" for pool, share in shares.items() if share) or "nobody anything"


def dead(reading, wanted):
    for pool, share in wanted.items():
        if share and not reading["capacity"][pool]["alive"]:
            return f"pool {pool} is dead: none of its {reading['capacity'][pool]['all']} servers can serve"
    return None


def writable(envoy):
    """Why the runtime of this Envoy takes no overrides."""
    dump = get(envoy, "config_dump?mask=bootstrap.layered_runtime")
    for config in dump.get("configs", []):
        for layer in config.get("bootstrap", {}).get("layered_runtime", {}).get("layers", []):
            if "admin_layer" in layer:
                return None
    return "its runtime has no admin_layer, so nothing can be overridden"


def preflight(readings, unreachable, wanted):
    if unreachable:
        return {"outcome": "unreachable", "instances": unreachable}
    if all(one["shares"] == wanted for one in readings.values()):
        return {"outcome": "already_there"}
    reasons, warnings = [], ["a restart of Envoy forgets the shift"]
    for envoy, one in readings.items():
        reasons += [f"{envoy}: {why}" for why in (dead(one, wanted), writable(envoy)) if why]
        carrying = sum(one["capacity"][pool]["all"] for pool, share in one["shares"].items() if share)
        for pool, share in wanted.items():
            alive = one["capacity"][pool]["alive"]
            if share and 0 < alive * 200 < carrying * share:
                reasons.append(f"{envoy}: pool {pool} has {alive} servers: less than half of what is needed")
            elif share and 0 < alive * 100 < carrying * share:
                warnings.append(f"{envoy}: pool {pool} has {alive} servers: fewer than before")
    return {"outcome": "refused", "reasons": reasons} if reasons else {"outcome": "ready", "warnings": warnings}



def apply(readings, unreachable, wanted, before, prefix):
    # Nothing is written before every router that takes part has answered.
    if unreachable:
        raise Refused("unavailable", "; ".join(f"{u['instance']}: {u['detail']}" for u in unreachable))
    to_move = {envoy: one for envoy, one in readings.items() if one["shares"] != wanted}
    for envoy, one in to_move.items():
        if why := dead(one, wanted):
            raise Refused("invalid", f"{envoy}: {why}")
        # Neither where it began nor where it leads: somebody else moved it.
        if before and one["shares"] != before:
            raise Refused("conflict", f"expected {spell(before)}, but {envoy} gives {spell(one['shares'])}")
    for number, envoy in enumerate(to_move, 1):
        say(progress=f"router {number} of {len(to_move)}")
        keys = urllib.parse.urlencode({f"{prefix}.{cluster(pool)}": share for pool, share in wanted.items()})
        request = urllib.request.Request(f"{envoy}/runtime_modify?{keys}", method="POST")
        try:
            urllib.request.urlopen(request, timeout=SECONDS).close()
        except urllib.error.HTTPError as error:
            raise Refused("invalid", f"{envoy}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            # It may have been taken: lastgood reads back, and decides.
            raise Refused("unknown", f"{envoy}: {error}") from error
    return {}


def progress(readings, unreachable, pools, wanted, without):
    seen = picture(readings, unreachable, pools)
    for envoy, one in readings.items():
        if envoy in without:
            continue
        if one["shares"] != wanted:
            return {"outcome": "failed", "seen": seen, "detail": f"{envoy} gives {spell(one['shares'])}"}
        if why := dead(one, wanted):
            return {"outcome": "failed", "seen": seen, "detail": f"{envoy}: {why}"}
    silent = [u["instance"] for u in unreachable if u["instance"] not in without]
    if silent:
        return {"outcome": "moving", "seen": seen, "detail": f"can't be asked: {', '.join(silent)}"}
    return {"outcome": "settled", "seen": seen}


# What runs is named by the first twelve digits of its digest, as lastgood names it in `move.shares`.
def name(digest):
    return digest.split(":")[-1][:12]


def ask_servers(servers):
    """What each server says that it runs, and who can't be asked."""
    running, unreachable = {}, []
    for server in servers:
        try:
            said = get(server, "version")
            running[server] = {"digest": said["digest"], "version": said.get("version")}
        except (OSError, ValueError, KeyError) as error:
            unreachable.append({"instance": server, "detail": str(error)})
    return running, unreachable


def what_runs(running, unreachable):
    """Shares of servers, in whole percent that add up to 100."""
    if not running:
        raise Refused("unavailable", "; ".join(f"{u['instance']}: {u['detail']}" for u in unreachable))
    runs, count = {}, {}
    for one in running.values():
        runs[name(one["digest"])] = one
        count[name(one["digest"])] = count.get(name(one["digest"]), 0) + 1
    shares = {what: servers * 100 // len(running) for what, servers in count.items()}
    # What was lost by rounding down goes to those that lost most.
    short = sorted(shares, key=lambda what: count[what] * 100 % len(running), reverse=True)
    for what in short[: 100 - sum(shares.values())]:
        shares[what] += 1
    capacity = {what: {"alive": servers, "all": servers} for what, servers in count.items()}
    return {"shares": shares, "capacity": capacity, "runs": runs, "unreachable": unreachable}


def roll(move):
    try:
        done = subprocess.run(
            [os.environ["ROLL"], move["digest"], move.get("version", "")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        # It may have been accepted: lastgood reads back, and decides.
        raise Refused("unknown", str(error)) from error
    except OSError as error:
        raise Refused("unavailable", f"{os.environ['ROLL']}: {error}") from error
    if done.returncode:
        raise Refused("unknown", f"{os.environ['ROLL']} ended with {done.returncode}: {done.stderr.strip()}")


def replace(operation, move):
    """A rolling update: what runs is replaced, and no traffic moves between pools."""
    without = move.get("without", [])
    servers = [s for s in os.environ["SERVERS"].split(",") if operation == "observe" or s not in without]
    running, unreachable = ask_servers(servers)
    seen = what_runs(running, unreachable)
    if operation == "observe":
        return seen
    there = all(one["digest"] == move["digest"] for one in running.values())
    if operation == "preflight":
        if unreachable:
            return {"outcome": "unreachable", "instances": unreachable}
        if there:
            return {"outcome": "already_there"}
        if not shutil.which(os.environ["ROLL"]):
            return {"outcome": "refused", "reasons": [f"{os.environ['ROLL']} is no program that can be run"]}
        return {"outcome": "ready", "warnings": []}
    # Shares change by themselves while servers are replaced: somebody new is another hand, and a change of shares is not.
    before = move.get("from")
    known = {name(move["digest"])} | {what for what, share in (before or seen["shares"]).items() if share}
    strange = [what for what in seen["shares"] if what not in known]
    if operation == "apply":
        if unreachable:
            raise Refused("unavailable", "; ".join(f"{u['instance']}: {u['detail']}" for u in unreachable))
        if strange:
            raise Refused("conflict", f"expected {spell(before)}, but {spell(seen['shares'])}")
        if not there:
            roll(move)
        return {}
    if operation == "progress":
        if unreachable:
            detail = f"can't be asked: {', '.join(u['instance'] for u in unreachable)}"
            return {"outcome": "moving", "seen": seen, "detail": detail}
        if there:
            return {"outcome": "settled", "seen": seen}
        if strange:
            return {"outcome": "failed", "seen": seen, "detail": f"another hand: {spell(seen['shares'])}"}
        done = sum(one["digest"] == move["digest"] for one in running.values())
        return {"outcome": "moving", "seen": seen, "detail": f"{done} of {len(running)} servers"}
    raise Refused("invalid", f"there is no operation {operation!r}")


def answer(request):
    if request.get("version") != VERSION:
        raise Refused("invalid", f"this shifter speaks version {VERSION} of the contract")
    if not request["pools"]:
        return replace(request["operation"], request.get("move") or {})
    pools, operation, move = request["pools"], request["operation"], request.get("move") or {}
    wanted, without = move.get("shares", {}), move.get("without", [])
    envoys, prefix = os.environ["ENVOYS"].split(","), os.environ["PREFIX"]
    part = envoys if operation in ("observe", "progress") else [envoy for envoy in envoys if envoy not in without]
    if not part:
        if operation == "preflight":
            return {"outcome": "refused", "reasons": ["every instance is to be left out"]}
        raise Refused("invalid", "no instance is left")
    readings, unreachable = read_all(part, pools, prefix)
    if operation == "observe":
        return picture(readings, unreachable, pools)
    if operation == "preflight":
        return preflight(readings, unreachable, wanted)
    if operation == "apply":
        return apply(readings, unreachable, wanted, move.get("from"), prefix)
    if operation == "progress":
        return progress(readings, unreachable, pools, wanted, without)
    raise Refused("invalid", f"there is no operation {operation!r}")


if __name__ == "__main__":
    try:
        say(answer=answer(json.load(sys.stdin)))
    except Refused as refused:
        say(error=refused.error, detail=refused.detail)
    except urllib.error.HTTPError as error:
        say(error="unavailable", detail=f"{error.url}: {error}")
