"""
test/torture/plan.py

When which fault comes: drawn from the seed alone, so that a seed that failed
has the same faults in the same order when it is run again.

SPDX-License-Identifier: PostgreSQL
"""

import random
from collections import namedtuple

Step = namedtuple("Step", "number at name")

# Seconds between two faults, and faults between two times of peace.
EVERY = 3.0
CALM_AFTER = 14


def chosen(possible, only):
    """The faults that ONLY leaves."""
    wanted = [name for name in only if not name.startswith("-")]
    left_out = [name[1:] for name in only if name.startswith("-")]
    unknown = [name for name in wanted + left_out if name not in possible]
    return ({name: fault for name, fault in possible.items()
             if (not wanted or name in wanted) and name not in left_out},
            unknown)


def draw(seed, seconds, faults):
    """The steps: each fault has its second; peace is a step named calm."""
    dice = random.Random(seed)
    names = sorted(faults)
    weights = [faults[name].weight for name in names]
    steps, at = [], 3.0
    while at < seconds:
        number = len(steps)
        if number % CALM_AFTER == CALM_AFTER - 1:
            steps.append(Step(number, at, "calm"))
        else:
            steps.append(Step(number, at, dice.choices(names, weights)[0]))
            at += dice.expovariate(1 / EVERY)
    return steps
