"""Ansible: `true` on 10 hosts, each a name for this machine, over ssh to an sshd of its own on loopback."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PORT = 16322
HOSTS = 10
ROUNDS = 5


def main():
    tools = os.path.dirname(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path(name)], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        with open(path("sshd"), "w") as file:
            file.write(
                f"Port {PORT}\nListenAddress 127.0.0.1\nHostKey {path('host')}\nPidFile none\nStrictModes no\n"
                f"AuthorizedKeysFile {path('user')}.pub\nPermitRootLogin prohibit-password\nUsePAM no\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
            )
        with open(path("hosts"), "w") as file:
            for number in range(HOSTS):
                file.write(
                    f"host{number} ansible_host=127.0.0.1 ansible_port={PORT} ansible_python_interpreter={sys.executable}"
                    f" ansible_ssh_private_key_file={path('user')}\n"
                )
        environment = dict(os.environ, ANSIBLE_HOST_KEY_CHECKING="False", ANSIBLE_HOME=path("home"))
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", path("sshd")])
        ad_hoc = [os.path.join(tools, "ansible"), "all", "-i", path("hosts"), "-f", str(HOSTS), "-m", "command", "-a", "true"]
        times = []
        try:
            for _ in range(ROUNDS):
                started = time.perf_counter()
                subprocess.run(ad_hoc, check=True, env=environment, stdout=subprocess.DEVNULL)
                times.append(time.perf_counter() - started)
        finally:
            sshd.terminate()
            sshd.wait()
        version = subprocess.run([ad_hoc[0], "--version"], check=True, capture_output=True, text=True, env=environment)
        print(
            json.dumps(
                {
                    "peer": "ansible",
                    "versions": {"ansible": version.stdout.split("\n", 1)[0]},
                    "hosts": HOSTS,
                    "how": "ssh to loopback, connections kept by ControlPersist after the first round",
                    "first_ms": round(times[0] * 1_000),
                    "p50_ms": round(statistics.median(times) * 1_000),
                }
            )
        )


if __name__ == "__main__":
    main()
