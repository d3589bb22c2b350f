"""More than the gateway can do, asked at once: it stays alive and small, says 429, and keeps serving everybody else.

    overload.py PID [CONNECTIONS [SECONDS]]

One user asks with CONNECTIONS connections, of six kinds: those that GET without a pause, lists of 25 MB that nobody
reads, watches that nobody reads while objects change, creates, bodies that never end, and connections that say nothing.
Meanwhile another user asks what a person asks, and for the gateway's health. PID is the gateway's, whose memory and
open files are watched. Nothing but Python's own library is needed.
"""

import asyncio
import base64
import json
import os
import re
import socket
import ssl
import sys
import tempfile
import threading
import time

DAEMON = int(sys.argv[1]) if sys.argv[1] != "person" else 0
CONNECTIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 1200
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 15
MAPS = "/api/v1/namespaces/default/configmaps"
CROWD = "/api/v1/namespaces/crowd/configmaps"
LARGE = "/api/v1/namespaces/large/configmaps"
# What each kind of connection may make the gateway hold, and what it holds of its own: TLS, and a piece of an answer.
CONNECTION, PIECE, BODY = 96 << 10, 512 << 10, 3 << 20
OBJECTS, SIZE = 125, 200_000
LEFT = 128 << 20  # bytes by which the gateway may be larger afterwards: what was made in the meantime is among them
PATIENCE = 60  # seconds that one answer may take: what is fast is not the question here

text = open(os.environ["KUBECONFIG"]).read()
HOST, PORT = re.search(r'server: "?https://([^:"\s]+):(\d+)', text).groups()


def context(names):
    with tempfile.TemporaryDirectory() as folder:
        def file(name):
            with open(os.path.join(folder, name), "wb") as out:
                out.write(base64.b64decode(re.search(name + r": (\S+)", text).group(1)))
            return out.name
        made = ssl.create_default_context(cafile=file("certificate-authority-data"))
        if names:
            made.load_cert_chain(*[file(name) for name in names])
        return made


ADMIN = context(["client-certificate-data", "client-key-data"])
NOBODY = context([])  # the crowd comes with a token


class Connection:
    """One connection: requests in turn, and as little memory on our side as there can be."""

    def __init__(self, tls=ADMIN, token=None):
        self.tls, self.token = tls, token

    async def __aenter__(self):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (HOST, int(PORT)))
        self.reader, self.writer = await asyncio.open_connection(
            sock=plain, ssl=self.tls, server_hostname=HOST, limit=16 << 10, ssl_handshake_timeout=PATIENCE)
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    async def send(self, method, path, body=b"", length=None):
        head = "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nContent-Type: application/json\r\n" % (
            method, path, HOST, len(body) if length is None else length)
        if self.token:
            head += "Authorization: Bearer %s\r\n" % self.token
        self.writer.write(head.encode() + b"\r\n" + body)
        await self.writer.drain()

    async def head(self):
        """(status, fields) of the next answer."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), fields

    async def body(self, fields):
        if "content-length" in fields:
            return await self.reader.readexactly(int(fields["content-length"]))
        pieces = []
        while size := int(await self.reader.readline(), 16):
            pieces.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(pieces)

    async def ask(self, method, path, value=None):
        async with asyncio.timeout(PATIENCE):
            await self.send(method, path, json.dumps(value).encode() if value is not None else b"")
            status, fields = await self.head()
            return status, fields, await self.body(fields)


def config_map(name, size):
    return {"metadata": {"name": name}, "data": {"value": "x" * size}}


def resident():
    return int(open("/proc/%d/statm" % DAEMON).read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(os.listdir("/proc/%d/fd" % DAEMON))


class Overload:
    def __init__(self, token, turn):
        self.token, self.turn = token, turn
        self.statuses = {}  # (kind, status) -> how often
        self.faults = []
        self.made = set()  # the names whose creation was acknowledged
        self.unknown = set()
        self.there = 0  # connections of the crowd that were made
        self.good = 0
        self.health = 0
        self.isOver = False

    def note(self, kind, status, fields, wanted):
        self.statuses[kind, status] = self.statuses.get((kind, status), 0) + 1
        if status == 429 and not fields.get("retry-after", "").isdigit():
            self.faults.append("%s: 429 without Retry-After: %s" % (kind, fields))
        if status not in (*wanted, 429):
            self.faults.append("%s: %d" % (kind, status))

    # What the crowd does.

    async def gets(self, connection, number):
        while not self.isOver:
            status, fields, _ = await connection.ask("GET", "%s/list-%d" % (CROWD, number % OBJECTS))
            self.note("get", status, fields, [200])

    async def unread(self, connection, kind, path):
        """Asks once and reads nothing of the answer but its head; asks again when it was turned away."""
        while not self.isOver:
            await connection.send("GET", path)
            status, fields = await connection.head()
            self.note(kind, status, fields, [200])
            if status == 200:
                connection.writer.transport.pause_reading()
                await self.over.wait()
                return
            await connection.body(fields)
            await asyncio.sleep(0.5)

    async def lists(self, connection, number):
        await self.unread(connection, "list", CROWD)

    async def watches(self, connection, number):
        await self.unread(connection, "watch", CROWD + "?watch=1&resourceVersion=0")

    async def creates(self, connection, number):
        count = 0
        while not self.isOver:
            count += 1
            name = "made-%d-%d-%d" % (self.turn, number, count)
            self.unknown.add(name)
            status, fields, body = await connection.ask("POST", CROWD, config_map(name, 2000))
            self.unknown.discard(name)
            self.note("create", status, fields, [201])
            if status == 201:
                self.made.add(name)
            else:
                await asyncio.sleep(0.1)

    async def bodies(self, connection, number):
        """Says that 3 MB come, and sends all but the end."""
        while not self.isOver:
            await connection.send("POST", CROWD, b" " * (BODY - 1), length=BODY)
            status, fields = await connection.head()  # only when it is turned away
            self.note("body", status, fields, [408])
            return

    async def silence(self, connection, number):
        await self.over.wait()

    async def member(self, work, number):
        isNew = True
        while not self.isOver:
            try:
                async with Connection(NOBODY, self.token) as connection:
                    self.there += isNew
                    isNew = False
                    await work(connection, number)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                # A connection may be closed, but not without end: what is turned away is told so.
                name = type(error).__name__
                self.statuses[work.__name__, name] = self.statuses.get((work.__name__, name), 0) + 1
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                return

    async def run(self):
        self.over = asyncio.Event()
        kinds = [(self.gets, 0.25), (self.lists, 0.3), (self.watches, 0.2), (self.creates, 0.15),
                 (self.bodies, 0.05), (self.silence, 0.05)]
        crowd = [asyncio.create_task(self.member(work, number))
                 for work, part in kinds for number in range(int(CONNECTIONS * part))]
        person = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "person", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        await until("all to be there", lambda: self.there >= CONNECTIONS * 0.9, 2 * PATIENCE)
        await asyncio.sleep(SECONDS)
        person.stdin.close()
        out, _ = await asyncio.wait_for(person.communicate(), 3 * PATIENCE)
        assert person.returncode == 0, "the other user was not served"
        self.good, self.health, faults = json.loads(out)
        self.faults += ["the other user: %s" % fault for fault in faults]
        self.isOver = True
        self.over.set()
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

    def allowed(self):
        """Bytes that the gateway may grow by: its bounds, for the connections that there are (docs/ARCHITECTURE.md)."""
        count = {kind: int(CONNECTIONS * part) for kind, part in
                 [("list", 0.3), ("watch", 0.2), ("body", 0.05)]}
        return (CONNECTIONS * CONNECTION + (count["list"] + count["watch"]) * PIECE + count["body"] * BODY * 2
                + (64 << 20))


class Person:
    """Another user, and who looks after the gateway's health: in a process of their own, which the crowd does not slow."""

    def __init__(self):
        self.good = self.health = 0
        self.faults = []
        self.isOver = False

    async def asks(self):
        """Each request is answered, on a connection that is kept and on new ones."""
        number = 0
        async with Connection() as kept:
            await kept.ask("GET", "%s/good" % MAPS)  # what asks nothing at first is closed after half a minute
            while not self.isOver:
                number += 1
                async with Connection() as new:
                    for connection in (kept, new):
                        name = "good-%d-%d-%d" % (os.getpid(), number, connection is kept)
                        for method, path, value, wanted in [
                            ("GET", "%s/good" % MAPS, None, 200), ("POST", MAPS, config_map(name, 100), 201),
                            ("GET", MAPS + "?limit=5", None, 200), ("DELETE", "%s/%s" % (MAPS, name), None, 200),
                        ]:
                            status, _, body = await connection.ask(method, path, value)
                            if status != wanted:
                                self.faults.append("%s %s: %d %s" % (method, path, status, body[:200]))
                            self.good += 1
                await asyncio.sleep(0.1)

    async def looks(self):
        while not self.isOver:
            async with Connection(NOBODY) as connection:
                for path in ("/healthz", "/livez", "/readyz"):
                    status, _, body = await connection.ask("GET", path)
                    if (status, body) != (200, b"ok"):
                        self.faults.append("%s: %d %s" % (path, status, body[:200]))
                    self.health += 1
            await asyncio.sleep(0.1)

    async def run(self):
        """Until the standard input ends."""
        asyncio.get_running_loop().add_reader(sys.stdin, lambda: setattr(self, "isOver", True))
        await asyncio.gather(self.asks(), self.looks())
        print(json.dumps([self.good, self.health, self.faults[:5]]))


class Look(threading.Thread):
    """What the gateway takes, looked at from a thread of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.line, self.start_time = 0, [], time.time()
        self.start()

    def run(self):
        while True:
            now = resident()
            self.peak = max(self.peak, now)
            if len(self.line) < time.time() - self.start_time:
                self.line.append(now >> 20)
            time.sleep(0.05)


async def until(asked, check, seconds):
    end = time.time() + seconds
    while not (value := check()):
        assert time.time() < end, "gave up waiting: " + asked
        await asyncio.sleep(0.2)
    return value


async def unread_watches(memory, look):
    """Watches of three objects of 1 MB that nobody reads: they hold no more than there is room for (256 MB for one
    user), those for which there is none are told so, everybody else is served, and all is given back."""
    over, look.peak = asyncio.Event(), 0
    told = {"open": 0, "refused": 0}

    async def watch():
        async with Connection() as connection:
            await connection.send("GET", LARGE + "?watch=1&resourceVersion=0")
            status, _ = await connection.head()
            assert status in (200, 429), status
            told["refused" if status == 429 else "open"] += 1
            if status == 200:
                connection.writer.transport.pause_reading()
            await over.wait()
    crowd = [asyncio.create_task(watch()) for _ in range(CONNECTIONS)]
    await until("all watches to be there", lambda: sum(told.values()) == CONNECTIONS, 2 * PATIENCE)
    await asyncio.sleep(12)  # those that wait for room are told after 10 s that there is none
    async with Connection() as person:
        for method, path, value, wanted in [
            ("GET", MAPS + "?limit=5", None, 200), ("POST", MAPS, config_map("beside", 100), 201),
            ("DELETE", MAPS + "/beside", None, 200), ("GET", MAPS + "/good", None, 200),
        ]:
            status, _, body = await person.ask(method, path, value)
            assert status == wanted, (method, path, status, body[:200])
    allowed = (256 << 20) + CONNECTIONS * CONNECTION + (64 << 20)
    grown = look.peak - memory
    assert grown <= allowed, "%d MB grown by watches that nobody reads, %d are allowed" % (grown >> 20, allowed >> 20)
    over.set()
    await asyncio.gather(*crowd)
    await until("the memory to be given back", lambda: resident() - memory < LEFT, 90)
    print("%d watches of 3 MB that nobody reads: %d MB grown of %d allowed, %d left" % (
        told["open"], grown >> 20, allowed >> 20, resident() - memory >> 20))


async def main():
    async with Connection() as admin:
        async def make(path, value):
            status, _, body = await admin.ask("POST", path, value)
            assert status == 201, (path, status, body)
            return json.loads(body)
        await make("/api/v1/namespaces", {"metadata": {"name": "crowd"}})
        await make("/api/v1/namespaces/crowd/serviceaccounts", {"metadata": {"name": "crowd"}})
        await make("/apis/rbac.authorization.k8s.io/v1/namespaces/crowd/rolebindings", {
            "metadata": {"name": "crowd"}, "subjects": [{"kind": "ServiceAccount", "name": "crowd"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}})
        token = (await make("/api/v1/namespaces/crowd/serviceaccounts/crowd/token", {"spec": {}}))["status"]["token"]
        await make(MAPS, config_map("good", 100))
        for number in range(OBJECTS):
            await make(CROWD, config_map("list-%d" % number, SIZE))
        await make("/api/v1/namespaces", {"metadata": {"name": "large"}})
        for number in range(3):
            await make(LARGE, config_map("large-%d" % number, 1_000_000))
    files, memory, look = open_files(), resident(), Look()
    for turn in (1, 2):
        load = Overload(token, turn)
        look.peak = 0
        await load.run()
        assert os.path.exists("/proc/%d" % DAEMON), "the gateway has ended"
        assert not load.faults, (len(load.faults), load.faults[:5])
        refused = {kind: count for (kind, status), count in load.statuses.items() if status == 429}
        assert refused.get("list") or CONNECTIONS < 1200, "nobody was turned away: %s" % load.statuses
        assert load.statuses.get(("get", 200)) and load.made and load.statuses.get(("watch", 200)), load.statuses
        assert look.peak - memory <= load.allowed(), "%d MB grown, %d are allowed" % (
            look.peak - memory >> 20, load.allowed() >> 20)
        await until("the open files of clients that are gone: %d before" % files,
                    lambda: open_files() <= files + 8, 30)
        await until("the memory to be given back", lambda: resident() - memory < LEFT, 90)
        async with Connection() as admin:
            # Nobody holds a place any more, and nothing is lost of what was acknowledged.
            async def idle():
                _, _, text = await admin.ask("GET", "/metrics")
                return re.findall(r"^apiserver_current_inflight_requests\{.*\} (\d+)", text.decode(), re.M)
            for _ in range(100):
                places = await idle()
                if sum(map(int, places)) <= 1:
                    break
                await asyncio.sleep(0.2)
            assert sum(map(int, places)) <= 1, places
            _, _, body = await admin.ask("GET", CROWD)
            names = {item["metadata"]["name"] for item in json.loads(body)["items"]}
            names = {name for name in names if name.startswith("made-%d-" % turn)}
            assert load.made <= names, "%d creations are lost" % len(load.made - names)
            assert names <= load.made | load.unknown, "%d were made and refused" % len(names - load.made)
        print("round %d, %d connections: %d GETs, %d creates, %d lists and %d watches that nobody reads; turned away: %s" % (
            turn, CONNECTIONS, load.statuses.get(("get", 200), 0), len(load.made), load.statuses.get(("list", 200), 0),
            load.statuses.get(("watch", 200), 0), ", ".join("%d %ss" % (refused[k], k) for k in sorted(refused))))
        print("round %d: %d requests of another user and %d of health were answered; %d MB grown of %d allowed, %d left" % (
            turn, load.good, load.health, look.peak - memory >> 20, load.allowed() >> 20, resident() - memory >> 20))
        if os.environ.get("VERBOSE"):
            print(load.statuses, look.line)
    await unread_watches(memory, look)


asyncio.run(main() if DAEMON else Person().run())
