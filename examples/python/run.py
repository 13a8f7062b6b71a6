"""Runs the stages of a run script that have to be, two at a time, and says what became of each.
What is up to date is skipped, and what an interrupted run has finished is not done again.

  python run.py SCRIPT [STATE_DIRECTORY]
"""

import sys

import craftbundle

state_dir = sys.argv[2] if len(sys.argv) > 2 else None
report = craftbundle.run(sys.argv[1], state_dir=state_dir, jobs=2)
for stage in report.stages:
    print(f"{stage.name}: {stage.state}")
print(f"{report.bytes} bytes written")
