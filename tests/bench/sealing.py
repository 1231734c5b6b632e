# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed mail: what each end computes for a message, and what a stranger has to."""
from measure import ROUNDS, few, medians, report, run

CONTENT = 752                                   # bytes, with a text of 256: padded, without its tag
STAMP_BITS = 22
TRIES = 10000                                   # of a slice


def sealing(_lab):
    count, slices = few(5000, 500), few(500, 50)
    done = {name: [] for name in ("seal", "open", "stamp", "agreements", "hashes")}
    for _ in range(ROUNDS):
        done["seal"].append(run("sealing", "seal", count, CONTENT))
        done["agreements"].append(run("limits", "agreements", count))
        done["open"].append(run("sealing", "open", count, CONTENT))
        done["stamp"].append(run("sealing", "stamp", slices))
        done["hashes"].append(run("limits", "hashes", slices * TRIES))
    results = {name: medians(rounds) for name, rounds in done.items()}
    for name in ("seal", "open"):
        report(f"mail-{name}", results[name]["rate"], "1/s", ROUNDS * count, results[name]["p50"],
               results[name]["p99"], limit=results["agreements"]["rate"],
               **{"limit-is": "a public key and a shared one of X25519"})
    rate = results["stamp"]["rate"] * TRIES
    report("mail-stamp-tries", rate, "1/s", ROUNDS * slices * TRIES,
           limit=results["hashes"]["rate"], **{"limit-is": "bare SHA-256 of as many bytes"})
    report("mail-stamp", 2 ** STAMP_BITS / rate * 1000, "ms", ROUNDS * slices * TRIES,
           **{"is": f"{STAMP_BITS} bits, on average"})
