"""One restoration in a process of its own: it ends with the node, and no crash or want of memory ends the node."""

import json
import os
import sys
import threading

UNFIT = 2
"""Exit code of a series that no further try can restore."""


def main() -> int:
    """Restore what the first line of standard input says; end at once where the rest of it ends, as the node did."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_node, daemon=True).start()
    from taskgan.core.errors import Failed, UserError
    from taskgan.restore.run import restore

    try:
        restore(request["model"], request["source"], request["out"], pdf=request["pdf"], remarks=request["remarks"])
    except UserError as error:
        sys.stdout.write(f"{error}\n")
        sys.stdout.flush()
        return 3 if isinstance(error, Failed) else UNFIT
    return 0


def _end_with_node() -> None:
    sys.stdin.read()
    os._exit(137)


if __name__ == "__main__":
    sys.exit(main())
