"""A running pod through Python's stream calls: exec, attach, port-forward, logs; and a crowd of them at once."""

import os
import socket
import sys
import threading
import time

from kubernetes import client, config, watch
from kubernetes.stream import portforward, stream

config.load_kube_config()
core = client.CoreV1Api()
IMAGE, DAEMON = sys.argv[1], sys.argv[2]
POD = "streams"
SCRIPT = """
mkdir -p /www; echo hello >/www/index.html; head -c 3000000 /dev/zero >/www/big; httpd -p 8000 -h /www
[ -e /keep/run ] && echo second run || { touch /keep/run; echo first run; sleep 2; exit 3; }
trap 'exit 0' TERM
i=0; while :; do i=$((i + 1)); echo line $i; sleep 0.1; done
"""


def until(what, seconds, check):
    end = time.time() + seconds
    while time.time() < end:
        if check():
            return
        time.sleep(0.1)
    raise AssertionError("gave up waiting: " + what)


def pod():
    container = {
        "name": "c", "image": IMAGE, "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "keep", "mountPath": "/keep"}],
    }
    core.create_namespaced_pod(
        "default",
        {
            "metadata": {"name": POD},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [container],
                     "volumes": [{"name": "keep", "emptyDir": {}}]},
        })

    def isSecondRun():
        statuses = core.read_namespaced_pod(POD, "default").status.container_statuses
        return statuses and statuses[0].restart_count == 1 and statuses[0].state.running
    until("the container's second run", 60, isSecondRun)


def run(*command, **named):
    # A client of its own: a stream call swaps its client's way of asking, which no other thread may meet.
    return stream(client.CoreV1Api().connect_get_namespaced_pod_exec, POD, "default", command=list(command),
                  **{"stdin": False, "stdout": True, "stderr": True, "tty": False, **named})


def exec_():
    assert run("echo", "one") == "one\n"
    talk = run("sh", "-c", "read x; echo out $x; echo err $x >&2; exit 7", stdin=True, _preload_content=False)
    talk.write_stdin("hello\n")
    talk.run_forever(timeout=20)
    assert talk.read_stdout() == "out hello\n" and talk.read_stderr() == "err hello\n" and talk.returncode == 7
    whole = run("cat", stdin=True, _preload_content=False)
    whole.write_stdin("x" * 70000)
    whole.close_channel(0)
    whole.run_forever(timeout=20)
    assert whole.read_stdout() == "x" * 70000 and whole.returncode == 0, "the end of the input is lost"
    big = run("cat", "/www/big", _preload_content=False, binary=True)
    big.run_forever(timeout=30)
    assert len(big.read_stdout()) == 3000000
    terminal = run("sh", stdin=True, tty=True, _preload_content=False)
    terminal.write_channel(4, '{"Width": 77, "Height": 33}')
    time.sleep(0.3)
    terminal.write_stdin("stty size; exit 4\n")
    terminal.run_forever(timeout=20)
    assert "33 77" in terminal.read_stdout() and terminal.returncode == 4, "the terminal has no size"
    missing = run("/none", _preload_content=False)
    missing.run_forever(timeout=20)
    assert "/none" in missing.read_channel(3), "a command that is not there"
    for named, words in [({"container": "none"}, "none is not valid for pod"), ({"command": []}, "command")]:
        try:
            stream(core.connect_get_namespaced_pod_exec, POD, "default", **{"command": ["true"], "stdout": True, **named})
            raise AssertionError("an exec went through: %s" % named)
        except client.ApiException as error:
            assert error.status in (0, 400) and words in str(error), error
    print("exec: output, input and its end, 3 MB, a terminal of a size, exit codes, refusals")


def attach():
    seen = stream(core.connect_get_namespaced_pod_attach, POD, "default", stdout=True, stderr=True,
                  _preload_content=False)
    line = seen.readline_stdout(timeout=10)
    assert line.startswith("line "), line
    seen.close()
    print("attach: what the running container says")


def forward():
    def get(request):
        ports = portforward(core.connect_get_namespaced_pod_portforward, POD, "default", ports="8000,8009")
        one = ports.socket(8000)
        one.setblocking(True)
        one.sendall(request)
        data = b""
        while piece := one.recv(1 << 16):
            data += piece
        assert ports.error(8000) is None
        return ports, data

    _, data = get(b"GET / HTTP/1.0\r\n\r\n")
    assert data.endswith(b"hello\n"), data
    ports, data = get(b"GET /big HTTP/1.0\r\n\r\n")
    assert data.endswith(b"\0" * 3000000)
    shut = ports.socket(8009)
    shut.setblocking(True)
    try:
        shut.sendall(b"x")
        assert shut.recv(1) == b""
    except OSError:
        pass
    until("the refusal of a port where nobody listens", 10, lambda: ports.error(8009))
    print("port-forward: 3 MB of one port, and the error of another")


def logs():
    named = {"name": POD, "namespace": "default"}
    assert core.read_namespaced_pod_log(previous=True, **named) == "first run\n"
    assert core.read_namespaced_pod_log(tail_lines=1, **named).startswith("line ")
    stamped = core.read_namespaced_pod_log(timestamps=True, limit_bytes=200, **named)
    assert stamped[:4] == time.strftime("%Y", time.gmtime()) and "Z second run" in stamped and len(stamped) == 200, stamped
    lines = []
    for line in watch.Watch().stream(core.read_namespaced_pod_log, tail_lines=2, **named):
        lines.append(int(line.split()[1]))
        if len(lines) == 8:
            break
    assert lines == list(range(lines[0], lines[0] + 8)), lines
    for wrong, status in [({"container": "none"}, 400), ({"name": "none"}, 404)]:
        try:
            core.read_namespaced_pod_log(**{**named, **wrong})
            raise AssertionError("a log was given: %s" % wrong)
        except client.ApiException as error:
            assert error.status == status, error
    print("logs: followed line by line, the run before, tails and times")


def open_files():
    return len(os.listdir("/proc/%s/fd" % DAEMON))


def resident():
    return int(open("/proc/%s/statm" % DAEMON).read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def at_once(count, work):
    failures = []

    def one(number):
        try:
            work(number)
        except Exception as error:
            failures.append("%d: %s: %s" % (number, type(error).__name__, error))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    [t.start() for t in threads]
    [t.join(240) for t in threads]
    assert not failures and not any(t.is_alive() for t in threads), failures[:3]


def crowd():
    def echo(number):
        talk = run("sh", "-c", "read x; echo $x", stdin=True, _preload_content=False)
        meet.wait(120)  # all hundred are open
        talk.write_stdin("%d\n" % number)
        talk.run_forever(timeout=120)
        said = (talk.read_stdout(), talk.read_stderr(), talk.read_channel(3), talk.is_open())
        assert said[0] == "%d\n" % number and '"Success"' in said[2], said

    def vanish(number):
        """Clients that read nothing and leave in the middle: of an exec, a log, a port."""
        if number % 3 == 0:
            talk = run("cat", "/dev/zero", _preload_content=False)
            time.sleep(0.5)
            talk.sock.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            talk.sock.sock.close()
        elif number % 3 == 1:
            answer = client.CoreV1Api().read_namespaced_pod_log(POD, "default", follow=True, _preload_content=False)
            time.sleep(0.5)
            answer.close()
        else:
            ports = portforward(
                client.CoreV1Api().connect_get_namespaced_pod_portforward, POD, "default", ports="8000")
            ports.socket(8000).sendall(b"GET /big HTTP/1.0\r\n\r\n")
            time.sleep(0.5)
            ports.close()

    # The client's own forwarding thread takes its end for an error.
    threading.excepthook = lambda _: None
    meet = threading.Barrier(20)
    at_once(20, echo)
    before, memory = open_files(), resident()
    meet = threading.Barrier(100)
    at_once(100, echo)
    at_once(60, vanish)
    until("open files of clients that are gone: %d before" % before, 30, lambda: open_files() <= before + 8)
    grown = resident() - memory
    assert grown < 64 << 20, "%d MB of memory are not given back" % (grown >> 20)
    print("100 execs at once; 60 clients that vanish leave no open file (%d MB grown)" % (
        grown >> 20))


pod()
exec_()
attach()
forward()
logs()
crowd()
core.delete_namespaced_pod(POD, "default")
