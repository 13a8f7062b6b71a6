"""``python -m craftbundle``: the program, or with ``--cmake-dir`` where CMake finds the package."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._errors import Error
from ._library import find


def main() -> NoReturn:
    """Becomes the program; the console script of the package."""
    try:
        if sys.argv[1:] == ["--cmake-dir"]:
            config = "cmake/craftbundle/craftbundle-config.cmake"
            print(find(f"lib/{config}", f"lib64/{config}", f"lib/*/{config}").parent)
            sys.exit(0)
        program = str(find("bin/craftbundle"))
    except Error as error:
        print(f"craftbundle: error: {error}", file=sys.stderr)
        sys.exit(1)
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
