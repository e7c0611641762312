"""MeshCentral: its server and its own agents, each a process in a folder of its own; `true` by the control channel of its web page.

Its command line, meshctrl, takes one host at a time, so it is not measured.
"""

import base64
import itertools
import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.request

from websockets.sync.client import connect

import measure

PORT = 4430
PASSWORD = "Compare-1234"
SETTINGS = {
    "cert": "localhost",
    "port": PORT,
    "portBind": "127.0.0.1",
    "redirPort": 0,
    "mpsPort": 0,
    "selfUpdate": False,
    "agentTimeStampServer": False,
}
TRUSTING = ssl._create_unverified_context()


class Channel:
    """A session of the administrator."""

    def __init__(self):
        word = lambda text: base64.b64encode(text.encode()).decode()
        headers = {"x-meshauth": f"{word('admin')},{word(PASSWORD)}"}
        url = f"wss://localhost:{PORT}/control.ashx"
        self.socket = connect(url, ssl=TRUSTING, additional_headers=headers, max_size=None, legacy=True)
        self.numbers = itertools.count()

    def ask(self, **question):
        """Asks, and yields whatever comes with the name of that question, for as long as the caller listens."""
        name = f"question {next(self.numbers)}"
        self.socket.send(json.dumps(question | {"responseid": name}))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("responseid") == name:
                yield answer

    def connected(self):
        groups = next(self.ask(action="nodes"))["nodes"].values()
        return [node["_id"] for group in groups for node in group if node.get("conn", 0) & 1]

    def run_true(self, nodes):
        waiting = set(nodes)
        for answer in self.ask(action="runcommands", nodeids=nodes, type=3, cmds="true", runAsUser=0, reply=True):
            if "nodeid" not in answer:
                raise SystemExit(f"refused: {answer}")
            waiting.discard(answer["nodeid"])
            if not waiting:
                return


def answers():
    try:
        urllib.request.urlopen(f"https://localhost:{PORT}/", context=TRUSTING)
        return True
    except OSError:
        return False


def agent_settings(group):
    """The file that tells an agent its server, as the server gives it out; its address is not in it for a server without a name."""
    with urllib.request.urlopen(f"https://localhost:{PORT}/meshsettings?id={group.split('/')[2]}", context=TRUSTING) as answer:
        lines = answer.read().decode().splitlines()
    kept = [line for line in lines if re.match("Mesh(Name|Type|ID)=|ServerID=", line)]
    return "\n".join([*kept, f"MeshServer=wss://localhost:{PORT}/agent.ashx", ""])


def main():
    options = measure.arguments()
    package = options.prefix / "node_modules" / "meshcentral"
    data = options.folder / "data"
    data.mkdir()
    (data / "config.json").write_text(json.dumps({"settings": SETTINGS}))
    server = ["node", package, "--datapath", data, "--filespath", options.folder / "files"]
    for step in (["--createaccount", "admin", "--pass", PASSWORD], ["--adminaccount", "admin"]):
        subprocess.run([*server, *step], check=True, stdout=subprocess.DEVNULL, cwd=options.folder)
    measure.start(server, options.folder / "server.log", cwd=options.folder)
    measure.until("the server", answers)
    channel = Channel()
    group = next(channel.ask(action="createmesh", meshname="compare", meshtype=2))["meshid"]
    settings = agent_settings(group)
    for number in range(options.hosts):
        home = options.folder / f"host{number}"
        home.mkdir()
        shutil.copy(package / "agents" / "meshagent_x86-64", home / "meshagent")
        os.chmod(home / "meshagent", 0o755)
        (home / "meshagent.msh").write_text(settings)
        measure.start(["./meshagent", "connect"], home / "log", cwd=home)
    measure.until("the agents", lambda: len(channel.connected()) == options.hosts)
    nodes = channel.connected()
    figures = measure.rounds(lambda: channel.run_true(nodes)) | {
        "hosts": options.hosts,
        "control_mb": measure.memory_mb("node_modules/meshcentral"),
        "host_mb": round(measure.memory_mb("meshagent connect") / options.hosts, 1),
    }
    version = json.loads((package / "package.json").read_text())["version"]
    recorded = "that it was asked for, per host, unsynced; no answer"
    measure.report("meshcentral", version, "control channel", recorded, figures)


if __name__ == "__main__":
    main()
