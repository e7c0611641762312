"""Sickbay: `bench hosts` with real agents, and `bench fanout` with simulated ones, as lines like those of the others."""

import json
import os
import subprocess

import measure

RECORDED = "what was asked, by whom, and the answers, synced on the host and on the server"


def main():
    options = measure.arguments()
    program = lambda name: str(options.prefix / name)
    environment = os.environ | {"TMPDIR": str(options.folder)}

    def bench(*words):
        line = [program("bench"), *map(str, words), "--json"]
        return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, env=environment).stdout)

    version = subprocess.run([program("sickbay"), "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    found = bench("hosts", "--agents", options.hosts, "--rounds", measure.ROUNDS_MAX)
    figures = {"runs": found["rounds"]} | {name: round(found[name], 1) for name in ("p50_ms", "p99_ms")}
    memory = {"control_mb": found["server_pss_bytes"], "host_mb": found["agent_pss_bytes"]}
    memory = {name: round(value / 2**20, 1) for name, value in memory.items()}
    measure.report("sickbay", version, "API", RECORDED, hosts=options.hosts, **figures, **memory)
    for agents in (1_000, 4_000):
        found = bench("fanout", "--agents", agents)
        figures = {"runs": found["rounds"], "p50_ms": round(found["wall_ms"], 1), "per_s": round(found["rate_per_s"])}
        measure.report("sickbay", version, "simulated agents that do nothing", RECORDED, tasks=agents, **figures)


if __name__ == "__main__":
    main()
