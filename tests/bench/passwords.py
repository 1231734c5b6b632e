# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: what a tracker computes for each try, and what the device that tries does; how many are
set and used in a second; what a user waits for."""
import time

from measure import ROUNDS, few, medians, report, run, summary
from tracker import CONFIG, herd_of

MEMORY, PASSES = 256 * 1024, 3                  # KiB; of a new password


def at_the_tracker(lab):
    """Those who come have stretched their passwords at home."""
    tracker, count, again = lab.tracker(config=CONFIG), few(400, 20), few(10, 2)
    done = {"sets": [], "logins": []}
    for number in range(ROUNDS):
        with herd_of(tracker, f"user{number}-", 1 + number) as herd:
            herd.step("join", count, 64)
            done["sets"].append(herd.step("password", count, 32))
            done["logins"].append(herd.step("login", count, 32, again))
    evaluations = run("passwords", "evaluate", few(5000, 500))
    results = {name: medians(rounds) for name, rounds in done.items()}
    for name, n in (("sets", count), ("logins", count * again)):
        result = results[name]
        report(f"password-{name}", result["rate"], "1/s", ROUNDS * n, result["p50"], result["p99"],
               limit=evaluations["rate"],
               **{"limit-is": "evaluations alone", "cpu-us": result["cpu-us"]})


def end_to_end(lab):
    """From `chatc login` until it says that it is done, stretching included."""
    user, path, took = lab.user("anna").start(), lab.directory / "password", []
    path.write_text("correct horse")
    assert user.chatc("register", "anna", "--password-file", path).rc == 0
    user.wait_state("online")
    for _ in range(few(10, 2)):
        assert user.chatc("logout").rc == 0
        start = time.monotonic()
        done = user.chatc("login", "anna", "--password-file", path)
        took.append((time.monotonic() - start) * 1000)
        assert done.rc == 0, done
        user.wait_state("online")
    times = summary(took)
    report("password-login", times["p50"], "ms", len(took), **times)


def passwords(lab):
    at_the_tracker(lab)
    end_to_end(lab)
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
