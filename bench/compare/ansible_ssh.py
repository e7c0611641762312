"""Ansible: `true` on hosts that are names for this machine, over ssh to an sshd of its own; each round is one `ansible` command."""

import os
import subprocess
import sys
import time
from pathlib import Path

import measure

PORT = 16322
RECORDED = "nothing"
SSHD = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
StrictModes no
AuthorizedKeysFile {folder}/user.pub
PermitRootLogin prohibit-password
UsePAM no
MaxStartups 1000
Subsystem sftp internal-sftp
"""


def peak(command, environment):
    """Memory of one round at its highest: of what Ansible starts, and of the sessions on the hosts."""
    control, hosts = 0, 0
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        control = max(control, measure.memory_mb("bin/ansible", "ssh "))
        hosts = max(hosts, measure.memory_mb("sshd: "))
        time.sleep(0.1)
    return control, hosts


def main():
    options = measure.arguments()
    folder = options.folder
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    Path("/run/sshd").mkdir()
    (folder / "sshd").write_text(SSHD.format(port=PORT, folder=folder))
    settings = (
        f"ansible_host=127.0.0.1 ansible_port={PORT} ansible_user=root"
        f" ansible_ssh_private_key_file={folder}/user ansible_python_interpreter={sys.executable}"
    )
    (folder / "hosts").write_text("".join(f"host{number} {settings}\n" for number in range(options.hosts)))
    measure.start(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd"], folder / "sshd.log")
    ansible = [options.prefix / "bin" / "ansible"]
    ad_hoc = [*ansible, "all", "-i", folder / "hosts", "-f", str(options.hosts), "-m", "command", "-a", "true"]
    environment = os.environ | {
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
    }
    version = subprocess.run([*ansible, "--version"], check=True, capture_output=True, text=True, env=environment).stdout
    version = version.split("core ")[1].split("]")[0]
    for way, pipelining in (("as installed", "False"), ("pipelining", "True")):
        environment["ANSIBLE_PIPELINING"] = pipelining
        figures = measure.rounds(lambda: subprocess.run(ad_hoc, check=True, env=environment, stdout=subprocess.DEVNULL))
        control_mb, hosts_mb = peak(ad_hoc, environment)
        figures |= {"hosts": options.hosts, "control_mb": control_mb, "host_mb": round(hosts_mb / options.hosts, 1)}
        measure.report("ansible", version, way, RECORDED, figures)


if __name__ == "__main__":
    main()
