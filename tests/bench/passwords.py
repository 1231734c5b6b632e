# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: what a tracker computes for each try, and what the device that tries does."""
from measure import ROUNDS, few, medians, report, run

MEMORY, PASSES = 256 * 1024, 3                  # KiB; of a new password


def passwords(_lab):
    count, stretched = few(5000, 500), few(5, 1)
    done = {name: [] for name in ("evaluate", "ask", "stretch", "agreements")}
    for _ in range(ROUNDS):
        done["evaluate"].append(run("passwords", "evaluate", count))
        done["agreements"].append(run("limits", "agreements", count))
        done["ask"].append(run("passwords", "ask", count))
        done["stretch"].append(run("passwords", "stretch", stretched, MEMORY, PASSES))
    results = {name: medians(rounds) for name, rounds in done.items()}
    for name in ("evaluate", "ask"):
        report(f"password-{name}", results[name]["rate"], "1/s", ROUNDS * count,
               results[name]["p50"], results[name]["p99"], limit=results["agreements"]["rate"],
               **{"limit-is": "a public key and a shared one of X25519"})
    report("password-stretch", results["stretch"]["p50"], "ms", ROUNDS * stretched,
           results["stretch"]["p50"], results["stretch"]["p99"],
           **{"is": f"{MEMORY // 1024} MiB, {PASSES} passes"})
