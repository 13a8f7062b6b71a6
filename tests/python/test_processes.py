"""Threads, fork and Ctrl-C, in processes of their own where they could hurt this one."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import craftbundle

DATA = Path(__file__).resolve().parents[1] / "golden" / "data"

# A call that takes a while.
SLEEP = """
version: 1
stages:
  wait:
    command: [sleep, "{}"]
"""


def export_size(target: Path) -> int:
    return craftbundle.export(DATA / "encodec_train.th", target, no_sync=True).size


def python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_exports_of_a_thread_pool(tmp_path: Path) -> None:
    targets = [tmp_path / f"{i}.bin" for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(export_size, targets))
    assert len(set(sizes)) == 1
    assert len({target.read_bytes() for target in targets}) == 1


def test_other_threads_run_while_a_call_waits(tmp_path: Path) -> None:
    script = tmp_path / "slow.yaml"
    script.write_text(SLEEP.format(1))
    counted = 0
    thread = threading.Thread(target=craftbundle.run, args=(script,))
    thread.start()
    while thread.is_alive():
        counted += 1
        time.sleep(0.01)
    thread.join()
    assert counted > 10


def test_a_child_of_fork_calls_on(tmp_path: Path) -> None:
    export_size(tmp_path / "parent.bin")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            export_size(tmp_path / "child.bin")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "child.bin").read_bytes() == (tmp_path / "parent.bin").read_bytes()
    assert export_size(tmp_path / "again.bin")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pools(method: str, tmp_path: Path) -> None:
    expected = export_size(tmp_path / "parent.bin")
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(export_size, [tmp_path / "a", tmp_path / "b"])) == [expected] * 2


FORK_WHILE_BUSY = """
    import os, sys, threading, time
    import craftbundle

    began, go_on = threading.Event(), threading.Event()

    def hold(progress):
        began.set()
        go_on.wait()

    def export():
        craftbundle.export(sys.argv[1], sys.argv[2], no_sync=True, progress=hold)

    thread = threading.Thread(target=export)
    thread.start()
    began.wait()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            craftbundle.plugins()
        except craftbundle.Error as error:
            print(error, flush=True)
            code = 0 if error.code == "process.forked" else 2
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    go_on.set()
    thread.join()
    assert craftbundle.plugins().plugins
    sys.exit(status)
"""


def test_a_child_of_fork_during_a_call_is_refused(tmp_path: Path) -> None:
    done = python(FORK_WHILE_BUSY, str(DATA / "musicgen_train.th"), str(tmp_path / "out.bin"))
    assert done.returncode == 0, done.stderr
    assert "while another thread was in a call of craftbundle" in done.stdout
    assert "'spawn'" in done.stdout


INTERRUPTED = """
    import os, signal, sys, threading, time
    import craftbundle

    threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        craftbundle.run(sys.argv[1])
    except KeyboardInterrupt:
        assert time.monotonic() - began < 20
        print("interrupted", flush=True)
    print(len(craftbundle.plugins().plugins) > 0)
"""


def test_ctrl_c_cancels_a_call(tmp_path: Path) -> None:
    script = tmp_path / "slow.yaml"
    script.write_text(SLEEP.format(60))
    done = python(INTERRUPTED, str(script))
    assert done.stdout == "interrupted\nTrue\n", done.stderr
    # Another run is not told that one is under way.
    second = python(INTERRUPTED, str(script))
    assert second.stdout == "interrupted\nTrue\n", second.stderr


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        import craftbundle

        def stop(progress):
            os.kill(os.getpid(), signal.SIGINT)

        try:
            craftbundle.bundle(sys.argv[3], lm=sys.argv[1], compression=sys.argv[2], progress=stop)
        except KeyboardInterrupt:
            print("interrupted")
    """
    target = tmp_path / "models" / "model"
    done = python(
        code, str(DATA / "musicgen_train.th"), str(DATA / "encodec_train.th"), str(target)
    )
    assert done.stdout == "interrupted\n", done.stderr
    # It is there as a whole or not at all, and no part of it is.
    left = list(target.parent.iterdir()) if target.parent.exists() else []
    assert left in ([], [target])
    if left:
        assert craftbundle.verify(target)


def test_a_handler_that_raises_ends_a_call(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, threading
        import craftbundle

        def end(number, frame):
            sys.exit(42)

        signal.signal(signal.SIGTERM, end)
        threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        craftbundle.run(sys.argv[1])
    """
    script = tmp_path / "slow.yaml"
    script.write_text(SLEEP.format(60))
    assert python(code, str(script)).returncode == 42
