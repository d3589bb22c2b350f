"""Both ends of the figure: the sites' server, which runs in pods, and the visitors who ask it through the virtual IP.

    visitors.py serve NAME PORT          a site: HTTP/1.1 with kept connections, and WebSockets that echo. On SIGTERM it
                                         ends as a plain program does: no new connections, answers in flight go out,
                                         WebSockets are closed with 1001
    visitors.py load ADDRESS AUTHORITY SITE...
                                         asks all sites at ADDRESS:443 until SIGTERM: with new connections, kept ones,
                                         by GET and POST, and WebSockets; and the API at ADDRESS:6443. A line for each
                                         request: when it was sent (milliseconds since 1970), how long it took, the
                                         target, and `ok` or what was wrong
    visitors.py change KUBECONFIG SERVER COUNT RATE
                                         makes COUNT changes of one Ingress, RATE a second, over one connection
"""
import asyncio, base64, http.client, json, os, re, signal, ssl, struct, sys, tempfile, time

PATIENCE = 5.0


# --- WebSockets (RFC 6455), as much as an echo needs: short frames, no fragments

async def frame(reader):
    head = await reader.readexactly(2)
    length = head[1] & 127
    if length == 126: length = struct.unpack("!H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4) if head[1] & 128 else None
    body = await reader.readexactly(length)
    if mask: body = bytes(b ^ mask[n & 3] for n, b in enumerate(body))
    return head[0] & 15, body


def framed(kind, body, masked):
    head = bytes([128 | kind, len(body) | (128 if masked else 0)])
    if not masked: return head + body
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[n & 3] for n, b in enumerate(body))


# --- HTTP/1.1

async def head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name: fields[name.strip().lower()] = value.strip()
    return lines[0], fields


# --- The site

class Site:
    def __init__(self, name):
        self.name, self.idle, self.sockets, self.ends = name, set(), set(), False

    async def serve(self, reader, writer):
        try:
            while not self.ends:
                self.idle.add(writer)
                first, fields = await head(reader)
                self.idle.discard(writer)
                if fields.get("upgrade", "").lower() == "websocket": return await self.echo(reader, writer)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                if first.split()[1] == "/slow": await asyncio.sleep(0.3)
                answer = f"{self.name} {len(body)}\n".encode()
                ending = b"connection: close\r\n" if self.ends else b""
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s" % (len(answer), ending, answer))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError): pass
        finally:
            self.idle.discard(writer)
            writer.close()

    async def echo(self, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n")
        self.sockets.add(writer)
        try:
            while True:
                kind, body = await frame(reader)
                if kind == 8: return
                writer.write(framed(kind, body, False))
                await writer.drain()
        finally: self.sockets.discard(writer)

    async def run(self, port):
        server = await asyncio.start_server(self.serve, "0.0.0.0", port)
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()
        self.ends = True
        server.close()
        for writer in list(self.idle): writer.close()
        for writer in list(self.sockets):
            writer.write(framed(8, struct.pack("!H", 1001), False))
            self.sockets.discard(writer)
        await asyncio.sleep(0.8)


# --- The visitors

class Wrong(Exception): pass


class Visitors:
    def __init__(self, address, authority):
        self.address = address
        self.tls = ssl.create_default_context(cafile=authority)
        self.api = ssl.create_default_context()
        self.api.check_hostname, self.api.verify_mode = False, ssl.CERT_NONE
        self.end = asyncio.Event()
        self.log = sys.stdout

    def note(self, sent, target, outcome):
        took = (time.time() - sent) * 1000
        self.log.write(f"{sent * 1000:.0f} {took:.0f} {target} {outcome}\n")
        self.log.flush()

    async def connect(self, host, port=443, tls=None):
        return await asyncio.open_connection(
            self.address, port, ssl=tls or self.tls, server_hostname=host, ssl_handshake_timeout=PATIENCE)

    async def exchange(self, reader, writer, host, method, body=b"", path="/"):
        """Whether the connection can be used again."""
        length = f"content-length: {len(body)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{length}\r\n".encode() + body)
        first, fields = await head(reader)
        answer = await reader.readexactly(int(fields.get("content-length", 0)))
        if first.split()[1] != "200": raise Wrong(first[9:] + " " + answer.decode("latin-1").strip())
        site = host.split(".")[0]
        if port_of(host) is None and not answer.decode().startswith(site): raise Wrong("another site answered")
        return fields.get("connection", "").lower() != "close"

    async def ask(self, target, work):
        """Does `work` in time and notes how it went; what it gives, or None when it failed."""
        sent = time.time()
        try:
            result = await asyncio.wait_for(work(), PATIENCE)
            self.note(sent, target, "ok")
            return result
        except asyncio.TimeoutError: self.note(sent, target, "no answer in time")
        except asyncio.IncompleteReadError as error: self.note(sent, target, f"ended after {len(error.partial)} bytes")
        except (OSError, Wrong, ValueError) as error:
            self.note(sent, target, f"{type(error).__name__}: {error}".replace("\n", " "))
        return None

    async def every(self, pause):
        """Paces a loop; False at the end."""
        try: await asyncio.wait_for(self.end.wait(), pause)
        except asyncio.TimeoutError: pass
        return not self.end.is_set()

    async def new(self, target, host, pause, port=443, tls=None, path="/"):
        async def once():
            reader, writer = await self.connect(host, port, tls)
            try: await self.exchange(reader, writer, host, "GET", path=path)
            finally: writer.transport.abort()
        running = set()
        while await self.every(pause):
            task = asyncio.create_task(self.ask(target, once))
            running.add(task)
            task.add_done_callback(running.discard)
        for task in running: task.cancel()

    async def kept(self, target, host, method, pause, path="/"):
        stream = None

        async def once():
            nonlocal stream
            if stream is None or stream[0].at_eof(): stream = await self.connect(host)
            if not await self.exchange(*stream, host, method, b"x" * 100 if method == "POST" else b"", path):
                stream[1].close()
                stream = None
            return True
        while await self.every(pause):
            if await self.ask(target, once) is None and stream:
                stream[1].transport.abort()
                stream = None
        if stream: stream[1].transport.abort()

    async def socket(self, target, host, pause):
        """Echoes over one WebSocket; a new one begins when the site has said goodbye, or the old one broke."""
        stream, number, left = None, 0, False

        async def once():
            nonlocal stream, number, left
            if stream is None:
                stream = await self.connect(host)
                key = base64.b64encode(os.urandom(16)).decode()
                stream[1].write((
                    f"GET /echo HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                    f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n").encode())
                first, _ = await head(stream[0])
                if first.split()[1] != "101": raise Wrong(first[9:])
            number += 1
            word = f"{number}".encode()
            stream[1].write(framed(1, word, True))
            kind, body = await frame(stream[0])
            if kind == 8:
                left = True
                return True
            if body != word: raise Wrong("it echoed something else")
            return True
        while await self.every(pause):
            if await self.ask(target, once) is None or left:
                if stream: stream[1].transport.abort()
                stream, left = None, False
        if stream: stream[1].transport.abort()

    async def run(self, sites, pace):
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self.end.set)
        work = [self.new("api", self.address, pace * 4, 6443, self.api, "/readyz")]
        for host in sites:
            site = host.split(".")[0]
            work += [self.new(f"{site}-new", host, pace), self.kept(f"{site}-slow", host, "GET", pace * 4, "/slow")]
            for n in range(2):
                work += [
                    self.kept(f"{site}-kept", host, "GET", pace / 2), self.kept(f"{site}-post", host, "POST", pace),
                    self.socket(f"{site}-ws", host, pace * 2), self.socket(f"{site}-ws", host, pace * 3)]
        await asyncio.gather(*work)


def port_of(host): return 6443 if host[0].isdigit() else None


# --- Changes

def change(kubeconfig, server, count, rate):
    with open(kubeconfig) as file: config = file.read()

    def material(name): return base64.b64decode(re.search(rf"{name}-data: *\"?([A-Za-z0-9+/=]+)", config)[1])
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with tempfile.NamedTemporaryFile() as both:
        both.write(material("client-certificate") + material("client-key"))
        both.flush()
        tls.load_cert_chain(both.name)
    host, port = server.rsplit(":", 1)
    connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=10)
    begin, failed = time.monotonic(), 0
    for n in range(count):
        due = begin + n / rate
        time.sleep(max(0, due - time.monotonic()))
        body = {"spec": {"rules": [{"host": f"name{n}.churn.test", "http": {"paths": [{
            "path": f"/{n}", "pathType": "Prefix",
            "backend": {"service": {"name": "green", "port": {"number": 80}}}}]}}]}}
        connection.request(
            "PATCH", "/apis/networking.k8s.io/v1/namespaces/default/ingresses/churn", json.dumps(body),
            {"content-type": "application/merge-patch+json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200: failed += 1
    print(f"{count} changes in {time.monotonic() - begin:.1f} s, {failed} refused")
    return failed


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "serve": asyncio.run(Site(sys.argv[2]).run(int(sys.argv[3])))
    elif what == "load":
        async def load(): await Visitors(*sys.argv[2:4]).run(sys.argv[4:], float(os.environ.get("PACE", "0.1")))
        asyncio.run(load())
    elif what == "change": sys.exit(change(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
    else: sys.exit(__doc__)
