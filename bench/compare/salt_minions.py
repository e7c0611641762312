"""Salt: `true` on the minions of one master, each a process, by LocalClient and by the command line."""

import json
import subprocess

import salt.client
import salt.version

import measure

RECORDED = "the answers, in files of the master's job cache for a day, unsynced"


def write(folder, settings):
    folder.mkdir()
    common = {"root_dir": str(folder), "pki_dir": str(folder / "pki"), "user": "root", "log_level": "error", "log_level_logfile": "error"}
    path = folder / settings.pop("kind")
    path.write_text(json.dumps(common | settings))  # JSON is YAML.
    return path


def main():
    options = measure.arguments()
    program = lambda name: options.prefix / "bin" / name
    master = options.folder / "master"
    config = write(master, {"kind": "master", "interface": "127.0.0.1", "auto_accept": True})
    measure.start([program("salt-master"), "-c", master], options.folder / "master.log")
    for number in range(options.hosts):
        minion = options.folder / f"minion{number}"
        write(minion, {"kind": "minion", "id": f"minion{number}", "master": "127.0.0.1"})
        measure.start([program("salt-minion"), "-c", minion], options.folder / f"minion{number}.log")

    keys = master / "pki" / "minions"
    measure.until("the minions' keys", lambda: len(list(keys.glob("*"))) == options.hosts, seconds=600)
    client = salt.client.LocalClient(str(config))
    measure.until("the minions", lambda: len(client.cmd("*", "test.ping", timeout=10)) == options.hosts, seconds=600)

    def by_client():
        answers = client.cmd("*", "cmd.run", ["true"], timeout=60, full_return=True)
        assert len(answers) == options.hosts and not any(it["retcode"] for it in answers.values()), answers

    def by_command_line():
        line = [program("salt"), "-c", master, "-t", "60", "--static", "--out", "json", "*", "cmd.run", "true"]
        answers = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
        assert len(answers) == options.hosts, answers

    for way, once in (("LocalClient", by_client), ("command line", by_command_line)):
        figures = measure.rounds(once) | {
            "hosts": options.hosts,
            "control_mb": measure.memory_mb("salt-master"),
            "host_mb": round(measure.memory_mb("salt-minion") / options.hosts, 1),
        }
        measure.report("salt", salt.version.__version__, way, RECORDED, figures)


if __name__ == "__main__":
    main()
