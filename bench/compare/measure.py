"""What the peers have in common: their arguments, rounds of a command, memory, a line of JSON.

Each peer is a process that `run` starts in namespaces of its own: whatever a peer starts ends with it, every process it sees is its own,
and nothing it sends leaves the machine.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

WARM_UP = 3
ROUNDS_MIN, ROUNDS_MAX, SECONDS = 5, 100, 60


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="new and empty, for all that the peer writes")
    parser.add_argument("--prefix", type=Path, required=True, help="where it is installed")
    return parser.parse_args()


def start(command, log, **settings):
    """Starts a process that nobody stops: it ends with this one."""
    with open(log, "ab") as file:
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, **settings)


def until(what, is_so, seconds=180):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.5)


def cpu_s():
    """Processor time so far of all processes here, with those that have ended (proc(5), fields 14 to 17 of `stat`)."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ticks += sum(map(int, process.joinpath("stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue  # It has ended.
    return ticks / os.sysconf("SC_CLK_TCK")


def rounds(once, minimum=ROUNDS_MIN, maximum=ROUNDS_MAX, warm_up=WARM_UP):
    """The figures of as many rounds as fit into a minute, within these bounds, after a warm-up."""
    for _ in range(warm_up):
        once()
    times, end, cpu = [], time.monotonic() + SECONDS, cpu_s()
    while len(times) < minimum or (len(times) < maximum and time.monotonic() < end):
        started = time.perf_counter()
        once()
        times.append(time.perf_counter() - started)
    cpu = (cpu_s() - cpu) / len(times)
    times.sort()
    return {"runs": len(times), "p50_ms": at(times, 50), "p99_ms": at(times, 99), "cpu_ms": round(cpu * 1_000, 1)}


def at(times, percent):
    """The time in ms below which that part of the sorted times lies."""
    return round(times[min(len(times) * percent // 100, len(times) - 1)] * 1_000, 1)


def memory_mb(*words):
    """Memory of the processes whose command line has one of the words; what several share counts once (Pss of proc(5))."""
    kib = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = process.joinpath("cmdline").read_text().replace("\0", " ")
            if int(process.name) != os.getpid() and any(word in line for word in words):
                rollup = process.joinpath("smaps_rollup").read_text()
                kib += next(int(it.split()[1]) for it in rollup.splitlines() if it.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # It has ended.
    return round(kib / 1_024, 1)


def report(peer, version, way, recorded, figures):
    """Prints the line. `recorded`: what a crash of the machine leaves of a round that was answered."""
    line = {"peer": peer, "version": version, "way": way} | figures | {"recorded": recorded}
    print(json.dumps(line | {"load": round(os.getloadavg()[0], 1)}), flush=True)
