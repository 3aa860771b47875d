"""`make chaos`: runs on a cluster of three nodes with their storage on S3, something of which is killed every few seconds.

Each run must end with the generator of an unbroken one, with a registry that holds what was reported as published, and leave nothing
behind: no process, actor, placement group, temporary file or part of an upload. Prints figures, and one line of JSON at the end.
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.kills import KILLS, shuffled
from tests.chaos.rounds import JOB, LARGE, Outcome, Round, play, unbroken
from tests.chaos.run_cluster import RunCluster, run_cluster

LARGE_EVERY = 3  # rounds
SUMS = ("drivers", "gave_up", "recoveries", "images_again", "versions")


def reign(cluster: RunCluster, *, seconds: float, kills: int, seed: int, kinds: list[str], job: list[str]) -> list[Round]:
    """Play rounds until the time is up, at least one, and return them; prints a line after each."""
    dice, until = random.Random(seed), time.monotonic() + seconds
    bag, rounds = shuffled(dice, kinds), list[Round]()
    references: dict[bool, Outcome] = {}
    while not rounds or time.monotonic() < until:
        is_large = len(rounds) % LARGE_EVERY == LARGE_EVERY - 1
        own = [*job, LARGE] if is_large else job
        if is_large not in references:
            references[is_large] = unbroken(cluster, f"unbroken-{len(references)}", own)
        name = f"round-{len(rounds):03d}"
        rounds.append(play(cluster, name, own, itertools.islice(bag, kills), dice, references[is_large]))
        print(json.dumps(rounds[-1].to_json()), flush=True)
    return rounds


def figures(rounds: list[Round], **settings: Any) -> dict[str, Any]:
    """Return the sums over all rounds."""
    kills = sum((round.kills for round in rounds), Counter[str]())
    sums = {
        name: sum(getattr(round, name) for round in rounds) for name in ("drivers", "gave_up", "recoveries", "images_again", "versions")
    }
    return {
        **settings,
        "rounds": len(rounds),
        "seconds": round(sum(round.seconds for round in rounds)),
        "kills": dict(kills),
        "all_kills": kills.total(),
        **sums,
        "wrong": [f"{round.name}: {problem}" for round in rounds for problem in round.wrong],
        "leaks": [f"{round.name}: {leak}" for round in rounds for leak in round.leaks],
    }


def main() -> None:
    """Reign for a while, and print the figures; exit with 1 if anything was wrong or left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=len(KILLS), help="of each run")
    parser.add_argument("--kinds", default=",".join(KILLS), help="what is killed")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder, run_cluster(Path(folder)) as cluster:
        chosen = {"seed": arguments.seed, "kinds": arguments.kinds.split(",")}
        rounds = reign(cluster, seconds=arguments.minutes * 60, kills=arguments.kills, job=JOB, **chosen)
    found = figures(rounds, minutes=arguments.minutes, seed=arguments.seed)
    for line in [*found["wrong"], *found["leaks"]]:
        print(line)
    print(json.dumps(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(bool(found["wrong"] or found["leaks"]))


if __name__ == "__main__":
    main()
