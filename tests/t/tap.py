"""TAP for the tests that are Python: check() is one of them, finish() the end."""
import sys

n_tests, n_bad = 0, 0


def check(what, is_ok, seen=""):
    """seen: what was found instead, told if it is not ok."""
    global n_tests, n_bad
    n_tests += 1
    n_bad += not is_ok
    print(f"{'ok' if is_ok else 'not ok'} {n_tests} - {what}", flush=True)
    if not is_ok:
        print("#", str(seen)[:4000].replace("\n", "\n# "), flush=True)


def finish():
    """Prints the plan and exits."""
    print(f"1..{n_tests}")
    sys.exit(n_bad > 0)
