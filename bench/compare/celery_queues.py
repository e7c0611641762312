"""Celery with Redis: `true` as a task for each of some workers with a queue of its own, and tasks that do nothing for one worker."""

import os
import subprocess
import sys
from pathlib import Path

import celery
import redis

import measure

PORT = 16390
URL = f"redis://127.0.0.1:{PORT}/0"
ROUNDS = 5

app = celery.Celery("celery_queues", broker=URL, backend=URL)


@app.task
def run(program):
    return subprocess.run([program]).returncode


@app.task
def nothing():
    """Does nothing."""


def worker(folder, name, *settings):
    """Starts one; returns its process."""
    line = [sys.executable, "-m", "celery", "-A", "celery_queues", "worker", "-Q", name, "-n", f"{name}@here", "-l", "ERROR", *settings]
    return measure.start(line, folder / f"{name}.log", cwd=Path(__file__).parent)


def until_ready(count):
    measure.until("the workers", lambda: len(app.control.ping(timeout=2)) == count)


def answers(tasks):
    """Of tasks that were sent one by one; a `group` of 20 takes several times as long."""
    return [task.get(timeout=120) for task in tasks]


def main():
    options = measure.arguments()
    os.environ["C_FORCE_ROOT"] = "1"
    server = redis.Redis(port=PORT)
    measure.start(["redis-server", "--port", PORT, "--bind", "127.0.0.1", "--dir", options.folder], options.folder / "redis.log")
    measure.until("Redis", lambda: options.folder.joinpath("redis.log").read_text().count("Ready to accept connections"))
    versions = f"{celery.__version__}, Redis {server.info()['redis_version']}"
    names = [f"host{number}" for number in range(options.hosts)]
    workers = [worker(options.folder, name, "-P", "solo") for name in names]
    until_ready(options.hosts)

    def once():
        assert answers([run.apply_async(["true"], queue=name) for name in names]) == [0] * options.hosts

    for way, appendonly, recorded in (
        ("Redis as installed", "no", "the results, in memory for a day, in a snapshot now and then"),
        ("appendfsync always", "yes", "the results, in a synced log, for a day"),
    ):
        server.config_set("appendfsync", "always")
        server.config_set("appendonly", appendonly)
        measure.until("the log's first rewrite", lambda: not server.info("persistence")["aof_rewrite_in_progress"])
        figures = measure.rounds(once) | {
            "hosts": options.hosts,
            "control_mb": measure.memory_mb("redis-server"),
            "host_mb": round(measure.memory_mb("celery_queues worker") / options.hosts, 1),
        }
        measure.report("celery", versions, way, recorded, figures)
    for process in workers:
        process.kill()
        process.wait()
    server.config_set("appendonly", "no")
    worker(options.folder, "pool", "-c", "2")
    until_ready(1)
    for tasks in (1_000, 4_000):
        once = lambda: answers([nothing.apply_async(queue="pool") for _ in range(tasks)])
        figures = measure.rounds(once, ROUNDS, ROUNDS, warm_up=1) | {"tasks": tasks}
        figures["per_s"] = round(tasks * 1_000 / figures["p50_ms"])
        measure.report("celery", versions, "no-op tasks, one worker of 2 processes", "the results, in memory", figures)


if __name__ == "__main__":
    main()
