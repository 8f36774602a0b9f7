# SPDX-License-Identifier: GPL-3.0-or-later
"""demo-story.py PCATCH EXAMPLES REPORTS: what scripts/demo shows."""
import atexit
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

DEADLINE = 30


def say(text=""):
    print(text, flush=True)


def fail(text):
    say("demo: " + text)
    sys.exit(1)


def until(condition, what):
    end = time.monotonic() + DEADLINE
    while True:
        answer = condition()
        if answer is not None:
            return answer
        if time.monotonic() > end:
            fail("waited %d s in vain for %s" % (DEADLINE, what))
        time.sleep(0.01)


def may_attach():
    """Yama lets an ordinary user trace only what he started under the tracer."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            return int(file.read()) == 0 or os.geteuid() == 0
    except OSError:
        return True


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def start(argv, **options):
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
    atexit.register(stop, process)
    return process


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    pcatch, examples, reports = (os.path.abspath(word) for word in sys.argv[1:])
    shutil.rmtree(reports, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix="pcatch-demo-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log = os.path.join(folder, "server.log")
    slow = os.path.join(folder, "slow")
    said = os.path.join(folder, "pcatch.said")
    os.mkfifo(slow)
    port = free_port()

    server = [sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:%d" % port]
    server += ["--access-logfile", "-", "slow_report:app"]
    # The slow command of this server ends when we let it.
    environ = dict(os.environ, SLOW_COMMAND="cat " + slow, PYTHONDONTWRITEBYTECODE="1")
    attach = may_attach()
    words = [pcatch, "attach" if attach else "run", "-v", "-o", reports]

    say()
    say("== A small web server starts (%s)." % os.path.join("doc/examples", "slow_report.py"))
    say("   $ python3 " + " ".join(server[1:]) + " >server.log 2>&1 &")
    with open(said, "wb") as stderr:
        if attach:
            with open(log, "wb") as output:
                process = start(server, cwd=examples, env=environ, stdout=output, stderr=output)
        else:
            redirected = ["sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log] + server
            process = watcher = start(
                words + ["--"] + redirected, cwd=examples, env=environ, stderr=stderr
            )

        def listening():
            if process.poll() is not None:
                with open(log) as file:
                    fail("the server did not start:\n" + file.read())
            try:
                return socket.create_connection(("127.0.0.1", port), DEADLINE)
            except OSError as error:
                if error.errno != errno.ECONNREFUSED:
                    raise
                return None

        with until(listening, "the server to listen") as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while client.recv(1000):
                pass

        say("== pcatch waits at it." if attach else "== pcatch has started it and waits at it.")
        if attach:
            say("   $ pcatch attach %d" % process.pid)
            watcher = start(words + [str(process.pid)], stderr=stderr)

    def watching():
        with open(said) as file:
            text = file.read()
        if "watching" in text:
            return text
        if watcher.poll() is not None:
            fail("pcatch did not watch: " + text)

    before = until(watching, "pcatch to watch")

    client = socket.create_connection(("127.0.0.1", port), DEADLINE)
    client.sendall(b"GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def reader_opened():
        try:
            return os.open(slow, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise

    command = until(reader_opened, "the slow command to run")
    say("== A client asks for /report. While a slow command prepares it, the client goes away.")
    client.close()
    os.close(command)

    try:
        status = process.wait(DEADLINE)
        watcher.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        fail("the server lives on, which this story does not have")

    say("== The server is gone. All that its log has to say about it:")
    with open(log) as file:
        for line in file.read().splitlines():
            say("   | " + line)
    say("   No traceback, no signal, nothing. Its parent was told: %s." % (
        "signal %d" % -status if status < 0 else "exit status %d" % status))
    with open(said) as file:
        text = file.read()[len(before) :].strip("\n")
    if not text:
        fail("pcatch said nothing")
    say("== And pcatch says:")
    say()
    say(text)
    say()
    dumps = [name for name in os.listdir(reports) if name.endswith(".dmp")]
    if len(dumps) != 1:
        fail("%d reports in %s" % (len(dumps), reports))
    program, dump = (os.path.relpath(p) for p in (pcatch, os.path.join(reports, dumps[0])))
    say("== The whole report again, from its file alone:")
    say("   $ %s show %s" % (program, dump))


if __name__ == "__main__":
    main()
