"""``python -m craftbundle``: the program, or with ``--cmake-dir`` where CMake finds the package."""

from __future__ import annotations

import os
import sys

from ._prefix_path import prefix_path

TYPE_CHECKING = False  # as in __init__.py
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Becomes the program; the console script of the package."""
    program = os.path.join(prefix_path(), "bin", "craftbundle")
    if sys.argv[1:] != ["--cmake-dir"] and os.path.exists(program):
        os.execv(program, [program, *sys.argv[1:]])
    # Takes longer to import than the program takes to start.
    from ._errors import Error
    from ._library import find

    try:
        if sys.argv[1:] == ["--cmake-dir"]:
            config = "cmake/craftbundle/craftbundle-config.cmake"
            print(find(f"lib/{config}", f"lib64/{config}", f"lib/*/{config}").parent)
            sys.exit(0)
        find("bin/craftbundle")  # says where it is not
    except Error as error:
        print(f"craftbundle: error: {error}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
