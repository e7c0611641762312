"""Celery with Redis: no-op tasks, from the first call until the last result is read."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import celery
import redis

PORT = 16390
TASKS = 2_000
ROUNDS = 3
URL = f"redis://127.0.0.1:{PORT}/0"

app = celery.Celery("celery_noop", broker=URL, backend=URL)


@app.task
def nothing():
    """Does nothing."""


def until_ready():
    for _ in range(300):
        try:
            if app.control.ping(timeout=0.5):
                return
        except (OSError, redis.exceptions.ConnectionError):
            pass
        time.sleep(0.1)
    sys.exit("the worker did not start")


def main():
    with tempfile.TemporaryDirectory() as folder:
        here = os.path.dirname(os.path.abspath(__file__))
        broker = subprocess.Popen(
            ["redis-server", "--port", str(PORT), "--dir", folder, "--save", "", "--loglevel", "warning"]
        )
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_noop", "worker", "-c", "2", "-l", "ERROR"],
            cwd=here,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until_ready()
            rates = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                for answer in [nothing.delay() for _ in range(TASKS)]:
                    answer.get(timeout=60)
                rates.append(TASKS / (time.perf_counter() - started))
            one = []
            for _ in range(50):
                started = time.perf_counter()
                for answer in [nothing.delay() for _ in range(20)]:
                    answer.get(timeout=60)
                one.append((time.perf_counter() - started) * 1_000)
        finally:
            worker.terminate()
            worker.wait()
            broker.terminate()
            broker.wait()
    print(
        json.dumps(
            {
                "peer": "celery",
                "versions": {"celery": celery.__version__, "redis client": redis.__version__},
                "tasks_per_s": round(statistics.median(rates)),
                "twenty_tasks_p50_ms": round(statistics.median(one), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
