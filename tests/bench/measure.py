#!/usr/bin/env python3
"""Whole-process figures: runs commands in turn, A B C A B C ..., and prints medians and ratios to the first.

  measure.py [--runs N] [--before COMMAND] [--row NAME --goal TEXT] NAME=COMMAND...

Commands are run by a shell. Before each one --before is run, uncounted (to delete the outputs). Per command: median and
range of wall seconds, median CPU seconds, largest peak memory of a process (MiB), and the ratio of wall times to the
first command, pair by pair (median, and the middle half). One warm-up round is not counted. --row prints one line of a
Markdown table instead, of the last command beside the first.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time


def run(command):
    start = time.monotonic()
    process = subprocess.Popen(command, shell=True, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"measure: exit status {process.returncode}: {command}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def ratio_text(wall, base):
    ratios = [mine / theirs for mine, theirs in zip(wall, base)]
    low, _, high = statistics.quantiles(ratios, method="inclusive") if len(ratios) > 1 else ratios * 3
    return f"{statistics.median(ratios):.2f} ({low:.2f}-{high:.2f})"


def print_row(name, goal, base, figures):
    wall = [figure[0] for figure in figures]
    print(f"| {name} | {statistics.median(wall):.3f} | {statistics.median(base):.3f} | {ratio_text(wall, base)} | {goal} | "
          f"{max(figure[2] for figure in figures):.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--before", default="true")
    parser.add_argument("--row")
    parser.add_argument("--goal", default="")
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    arguments = parser.parse_args()
    commands = [command.split("=", 1) for command in arguments.commands]
    results = {name: [] for name, _ in commands}
    for round_number in range(arguments.runs + 1):
        for name, command in commands:
            subprocess.run(arguments.before, shell=True, check=True)
            figures = run("exec " + command if ";" not in command and "&&" not in command else command)
            if round_number > 0:
                results[name].append(figures)
    base = [figures[0] for figures in results[commands[0][0]]]
    if arguments.row:
        print_row(arguments.row, arguments.goal, base, results[commands[-1][0]])
        return
    width = max(len(name) for name in results)
    print(f"{'':{width}}  wall s (range)          cpu s  peak MiB  wall / {commands[0][0]}")
    for name, figures in results.items():
        wall = [figure[0] for figure in figures]
        print(f"{name:{width}}  {statistics.median(wall):6.3f} ({min(wall):.3f}-{max(wall):.3f})  "
              f"{statistics.median(figure[1] for figure in figures):6.2f}  {max(figure[2] for figure in figures):8.1f}  "
              f"{ratio_text(wall, base)}")


if __name__ == "__main__":
    main()
