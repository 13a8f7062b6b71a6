"""Makes a complete model of a language model and a codec. Both are checked, and whether they fit,
before anything is written; what is wrong is an exception that says what to do.

  python bundle.py LM COMPRESSION OUT_DIRECTORY
"""

import sys

import craftbundle

lm, compression, out_directory = sys.argv[1:]
try:
    bundle = craftbundle.bundle(out_directory, lm=lm, compression=compression, force=True)
except craftbundle.Error as error:
    sys.exit(f"{error.message} [{error.code}]\n{error.hint}")
for name, size in bundle.files.items():
    print(f"{name}: {size} bytes")
for fact, outcome in bundle.fit:
    print(f"{fact}: {outcome}")
