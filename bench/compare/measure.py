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


def rounds(once):
    """Seconds of each round, sorted: as many as fit into a minute, up to 100 and at least 5, after a warm-up."""
    for _ in range(WARM_UP):
        once()
    times, end = [], time.monotonic() + SECONDS
    while len(times) < ROUNDS_MIN or (len(times) < ROUNDS_MAX and time.monotonic() < end):
        started = time.perf_counter()
        once()
        times.append(time.perf_counter() - started)
    return sorted(times)


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


def report(peer, version, way, recorded, times=(), **more):
    """Prints the line. `recorded`: what a crash of the machine leaves of a round that was answered."""
    figures = {"runs": len(times), "p50_ms": at(times, 50), "p99_ms": at(times, 99)} if times else {}
    line = {"peer": peer, "version": version, "way": way, **figures, **more, "recorded": recorded}
    print(json.dumps(line | {"load": os.getloadavg()[0]}), flush=True)
