"""Salt: `true` on 5 minions of one master on loopback, by the command line and by LocalClient."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import salt.client
import salt.config
import salt.version

MINIONS = 5
ROUNDS = 5
PORTS = {"publish_port": 16505, "ret_port": 16506}


def write(path, settings):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(settings, file)  # JSON is YAML.


def salt_program(name, *arguments):
    """The command that runs a program of Salt with this interpreter."""
    code = f"import sys; sys.argv[0] = '{name}'; import salt.scripts as s; s.{name.replace('-', '_')}()"
    return [sys.executable, "-c", code, *arguments]


def main():
    with tempfile.TemporaryDirectory() as folder:
        master = os.path.join(folder, "master")
        common = {"user": "root", "log_level": "error", "log_level_logfile": "error"}
        write(
            os.path.join(master, "master"),
            {**common, **PORTS, "interface": "127.0.0.1", "root_dir": master, "auto_accept": True, "worker_threads": 3},
        )
        processes = [subprocess.Popen(salt_program("salt-master", "-c", master))]
        for number in range(MINIONS):
            minion = os.path.join(folder, f"minion{number}")
            write(
                os.path.join(minion, "minion"),
                {**common, "root_dir": minion, "id": f"minion{number}", "master": "127.0.0.1",
                 "master_port": PORTS["ret_port"], "publish_port": PORTS["publish_port"]},
            )
            processes.append(subprocess.Popen(salt_program("salt-minion", "-c", minion)))
        try:
            config = os.path.join(master, "master")
            deadline = time.monotonic() + 120
            while True:
                try:
                    client = salt.client.LocalClient(config)
                    if len(client.cmd("*", "test.ping", timeout=5)) == MINIONS:
                        break
                except Exception:  # The master is not up yet, whatever it says.
                    pass
                if time.monotonic() > deadline:
                    sys.exit("the minions did not connect")
                time.sleep(1)
            local, command_line = [], []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                answers = client.cmd("*", "cmd.run", ["true"], timeout=30)
                local.append(time.perf_counter() - started)
                assert len(answers) == MINIONS, answers
                started = time.perf_counter()
                line = salt_program("salt", "-c", master, "-t", "60", "*", "cmd.run", "true")
                subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
                command_line.append(time.perf_counter() - started)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
    print(
        json.dumps(
            {
                "peer": "salt",
                "versions": {"salt": salt.version.__version__},
                "minions": MINIONS,
                "local_client_p50_ms": round(statistics.median(local) * 1_000),
                "command_line_p50_ms": round(statistics.median(command_line) * 1_000),
            }
        )
    )


if __name__ == "__main__":
    main()
