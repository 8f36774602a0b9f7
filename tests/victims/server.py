# SPDX-License-Identifier: GPL-3.0-or-later
"""
A daemon as there are many: a pidfile, one log for itself and its workers, a heartbeat thread,
faulthandler, handlers for SIGTERM. Run as: server.py FOLDER [--unmarked]

Its first line on stdout is the truth; it and its workers run until they are ended. A line on stdin
names a deed: sigpipe, sigsegv, exception, exit.
"""
import ctypes
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time

folder = sys.argv[1]
marked = "--unmarked" not in sys.argv
log = os.open(os.path.join(folder, "server.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(log, 2)
faulthandler.enable()
beats = [0]


def say(text):
    now = time.time()
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    mark = " [%d]" % os.getpid() if marked else ""
    os.write(2, ("%s,%03d%s INFO %s\n" % (when, now % 1 * 1000, mark, text)).encode())


def heartbeat(every):
    while True:
        beats[0] += 1
        say("heartbeat %d" % beats[0])
        time.sleep(every)


def on_term(signo, frame):
    say("Received signal %d, shutting down" % signo)
    os.unlink(os.path.join(folder, "server.pid"))
    say("Shutdown complete")
    sys.exit(0)


listener = socket.create_server(("127.0.0.1", 0))


def work():
    # A session of its own is what makes a daemon; its workers stay in it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.close(1)
    while True:
        say("GET / 200")
        time.sleep(0.05)


os.setsid() if os.getpid() != os.getsid(0) else None
workers = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        work()
    workers.append(pid)
with open(os.path.join(folder, "server.pid"), "w") as file:
    file.write("%d\n" % os.getpid())
signal.signal(signal.SIGTERM, on_term)
threading.Thread(target=heartbeat, args=(1,), daemon=True).start()
print(
    json.dumps({"pid": os.getpid(), "workers": workers, "port": listener.getsockname()[1]}),
    flush=True,
)


def crash():
    ctypes.string_at(8)


while True:
    deed = sys.stdin.readline().strip()
    if deed == "sigpipe":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        a, b = socket.socketpair()
        b.close()
        a.send(b"x")
    elif deed == "sigsegv":
        crash()
    elif deed == "exception":
        raise ValueError("a bad request")
    elif deed == "exit":
        os._exit(3)
