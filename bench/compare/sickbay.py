"""Sickbay: `bench hosts` with real agents, and `bench fanout` with simulated ones, as lines like those of the others."""

import json
import os
import resource
import subprocess

import measure

RECORDED = "what was asked, by whom, and the answers, synced on the host and on the server"


def cpu_s():
    """Processor time of all that has ended: the bench waits for what it started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    options = measure.arguments()
    program = lambda name: str(options.prefix / name)
    environment = os.environ | {"TMPDIR": str(options.folder)}

    def bench(*words):
        line = [program("bench"), *map(str, words), "--json"]
        return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, env=environment).stdout)

    version = subprocess.run([program("sickbay"), "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    hosts = lambda rounds: bench("hosts", "--agents", options.hosts, "--rounds", rounds)
    before = cpu_s()
    hosts(1)
    starting = cpu_s() - before
    found = hosts(measure.ROUNDS_MAX)
    cpu = cpu_s() - before - 2 * starting
    figures = {
        "runs": found["rounds"],
        "p50_ms": round(found["p50_ms"], 1),
        "p99_ms": round(found["p99_ms"], 1),
        "cpu_ms": round(cpu * 1_000 / (measure.ROUNDS_MAX - 1), 1),
        "hosts": options.hosts,
        "control_mb": round(found["server_pss_bytes"] / 2**20, 1),
        "host_mb": round(found["agent_pss_bytes"] / 2**20, 1),
    }
    measure.report("sickbay", version, "API", RECORDED, figures)
    for agents in (1_000, 4_000):
        found = bench("fanout", "--agents", agents)
        figures = {"runs": found["rounds"], "p50_ms": round(found["wall_ms"], 1), "tasks": agents, "per_s": round(found["rate_per_s"])}
        measure.report("sickbay", version, "simulated agents that do nothing", RECORDED, figures)


if __name__ == "__main__":
    main()
