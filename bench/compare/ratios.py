"""The last line of a run: how many times as long as Sickbay each peer took, by the medians of the lines before."""

import json
import sys


def main():
    with open(sys.argv[1]) as file:
        lines = [json.loads(line) for line in file]
    size = lambda line: ("hosts", line["hosts"]) if "hosts" in line else ("tasks", line["tasks"])
    ours = {size(line): line["p50_ms"] for line in lines if line["peer"] == "sickbay"}
    others = [line for line in lines if line["peer"] != "sickbay" and size(line) in ours]
    ratios = {
        f"{line['peer']}, {line['way']}, {size(line)[1]} {size(line)[0]}": round(line["p50_ms"] / ours[size(line)], 1) for line in others
    }
    if ratios:
        print(json.dumps({"times_as_long_as_sickbay": ratios}))


if __name__ == "__main__":
    main()
