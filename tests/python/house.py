"""What both scripts share: where the server is, and waiting."""

import json
import os
import time

HOST = os.environ["SICKBAY_HOST"]
KEY = json.loads(os.environ["SICKBAY_KEY"])
FORBIDDEN = json.loads(os.environ["SICKBAY_FORBIDDEN"])
ONLINE = os.environ["SICKBAY_ONLINE"]
OFFLINE = os.environ["SICKBAY_OFFLINE"]

DOCUMENTED = {
    "dispatchType", "causeCode", "causeMsg", "resCode", "resMsg", "problemType", "uuid", "instanceId", "instanceName",
    "internetIp", "intranetIp", "url",
}


def check_param(*uuids):
    """The documented Param of a problem check."""
    return json.dumps({"mode": 1, "problemType": "offline", "uuids": ",".join(uuids)})


def until(what, ask):
    """Asks until there is an answer."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError("waited in vain: " + what)


def details(text):
    """DetailData is JSON in a string."""
    assert isinstance(text, str), type(text)
    hosts = json.loads(text)
    assert isinstance(hosts, list), hosts
    for host in hosts:
        assert DOCUMENTED <= set(host), DOCUMENTED - set(host)
        for name in ("causeCode", "causeMsg", "resCode", "resMsg"):
            assert all(isinstance(it, str) for it in host[name]), host[name]
        assert len(host["causeCode"]) == len(host["causeMsg"]), host
        assert len(host["resCode"]) == len(host["resMsg"]), host
    return hosts
