"""Reads every byte of a bundle or exported file and says whether it will load. That something does
not hold is no exception: the result is false then, and lists what.

  python verify.py BUNDLE
"""

import sys

import craftbundle

verification = craftbundle.verify(sys.argv[1])
for finding in verification.findings:
    print(f"{finding.outcome}: {finding.file or 'bundle'}: {finding.text}")
    if finding.outcome == "fails":
        print(f"  {finding.hint}")
sys.exit(0 if verification else 1)
