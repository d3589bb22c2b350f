"""What the edge and the ingress do with clients of HTTP/2 and HTTP/1.1 that mean no good, and with those that do.

    edge.py EDGE INGRESS PID CERTIFICATE BACKENDLOG

EDGE and INGRESS are ADDRESS:PORT, PID the daemon's, whose memory is watched; CERTIFICATE is what web.test shows, and
BACKENDLOG has a line for each request that its pod saw. Needs the package h2.
"""

import os
import socket
import ssl
import struct
import sys
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

import rawfuzz

MEMORY = 160 << 20  # bytes that the daemon may grow by
CALM = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


class Door:
    """Where to come in, and how."""

    def __init__(self, where, certificate=None, protocol="http/1.1"):
        host, port = where.rsplit(":", 1)
        self.where, self.protocol = (host, int(port)), protocol
        self.context = None
        if certificate:
            self.context = ssl.create_default_context(cafile=certificate)
            self.context.set_alpn_protocols([protocol])

    def open(self):
        plain = socket.create_connection(self.where, timeout=15)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.context:
            return plain
        stream = self.context.wrap_socket(plain, server_hostname="web.test")
        assert stream.selected_alpn_protocol() == self.protocol, "ALPN gave %s" % stream.selected_alpn_protocol()
        return stream


class Two:
    """A client of HTTP/2 that checks nothing of what it sends."""

    def __init__(self, door):
        self.socket = door.open()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.statuses, self.resets, self.bodies, self.trailers = {}, {}, {}, {}
        self.ended, self.goaway, self.closed = set(), None, False
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            try:
                self.socket.sendall(data)
            except OSError:
                self.closed = True

    def hear(self, seconds=15.0):
        """Takes what comes; False when nothing did in time, or nothing more will."""
        if self.closed:
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            number = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[number] = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[number] = self.bodies.get(number, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[number] = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(number)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[number] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event.error_code
        self.flush()
        return True

    def ask(self, fields, body=None):
        """Sends a request; its stream's number."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields, end_stream=body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=True)
        self.flush()
        return number

    def outcome(self, number):
        """The status, or the error of a reset; None when the connection ended."""
        while number not in self.ended and number not in self.resets:
            if not self.hear():
                return None
        return self.statuses.get(number) or self.resets.get(number)

    def raw(self, *frames):
        """Sends frames that the library would not; False when the server takes no more."""
        try:
            self.socket.sendall(b"".join(frames))
            return True
        except OSError:
            self.closed = True
            return False

    def until_closed(self):
        try:
            while self.hear():
                pass
        except h2.exceptions.ProtocolError:
            self.closed = True
        return self.closed


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def fields(path="/", more=(), method="GET", host="web.test"):
    return [(":method", method), (":scheme", "https"), (":authority", host), (":path", path), *more]


# MARK: Those who mean well

def serves(door):
    client = Two(door)
    number = client.ask(fields("/well"))
    assert client.outcome(number) == 200, "a good request got %s" % client.outcome(number)
    client.socket.close()


def good(door):
    client = Two(door)
    numbers = [client.ask(fields("/many/%d" % n)) for n in range(100)]
    assert all(client.outcome(n) == 200 for n in numbers)
    number = client.ask(fields("/post", method="POST"), b"x" * 10_000)
    assert client.outcome(number) == 200 and b'"length": 10000' in client.bodies[number]
    client.socket.close()
    print("100 requests at once over one connection of HTTP/2, and a POST")


# MARK: Those who do not

def two_ways(door):
    """What HTTP/2 must not carry on to HTTP/1.1."""
    hidden = "x\r\n\r\nGET /hidden HTTP/1.1\r\nHost: web.test\r\n\r\n"
    cases = {
        "a value with CRLF": fields(more=[("x", "a\r\ntransfer-encoding: chunked")]),
        "a request in a value": fields(more=[("x", hidden)]),
        "a name with CRLF": fields(more=[("x\r\ny", "z")]),
        "a name with a colon": fields(more=[("x: y\r\nz", "1")]),
        "an upper-case name": fields(more=[("X-Y", "1")]),
        "transfer-encoding": fields(more=[("transfer-encoding", "chunked")], method="POST"),
        "connection": fields(more=[("connection", "upgrade")]),
        "upgrade": fields(more=[("upgrade", "websocket")]),
        "te": fields(more=[("te", "chunked")]),
        "a NUL": fields(more=[("x", "a\0b")]),
        "two lengths": fields(more=[("content-length", "1"), ("content-length", "2")], method="POST"),
        "a signed length": fields(more=[("content-length", "+1")], method="POST"),
        "a length and no body": fields(more=[("content-length", "5")]),
        "a path with a space": fields("/ HTTP/1.1\r\nHost: web.test\r\n\r\nGET /hidden"),
        "a path that is none": fields("hidden"),
        "no path": [f for f in fields() if f[0] != ":path"],
        "two paths": fields(more=[(":path", "/hidden")]),
        "a pseudo field at the end": fields(more=[("x", "y"), (":authority", "other.test")]),
        "a method with a space": fields(method="GET /hidden HTTP/1.1\r\n"),
        "a host with a slash": fields(host="web.test/hidden"),
        "two hosts": fields(more=[("host", "other.test")]),
        "an unknown pseudo field": fields(more=[(":hidden", "x")]),
    }
    for what, asked in cases.items():
        client = Two(door)
        got = client.outcome(client.ask(asked, b"" if dict(asked).get(":method") == "POST" else None))
        assert got != 200, "%s got through" % what
        client.socket.close()
    lies = Two(door)
    got = lies.outcome(lies.ask(fields(more=[("content-length", "3")], method="POST"), hidden.encode()))
    assert got != 200, "a body longer than its length got through"
    lies.socket.close()
    serves(door)
    print("%d ways to say over HTTP/2 what HTTP/1.1 would read otherwise: 0 get through" % (len(cases) + 1))


def rapid_reset(door):
    client = Two(door)
    done = 0
    try:
        while done < 100_000 and not client.closed:
            for _ in range(50):
                number = client.h2.get_next_available_stream_id()
                client.h2.send_headers(number, fields("/slow"), end_stream=True)
                client.h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
                done += 1
            client.flush()
            while client.hear(0.0001):
                pass
    except h2.exceptions.ProtocolError:
        pass
    client.until_closed()
    assert client.closed and client.goaway == CALM and done < 100_000, (client.closed, client.goaway, done)
    serves(door)
    print("rapid reset: the connection ends with ENHANCE_YOUR_CALM")


def floods(door):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    begin = b"\x82\x87\x84\x41\x08web.test"  # GET https / web.test
    kinds = {
        "pings": (b"", frame(6, 0, 0, b"12345678")),
        "settings": (b"", frame(4, 0, 0)),
        "priorities": (b"", frame(2, 0, 1, b"\0\0\0\3\x10")),
        "windows": (b"", frame(8, 0, 0, b"\0\0\0\1")),
        "empty data": (frame(1, 4, 1, b"\x83\x87\x84\x41\x08web.test"), frame(0, 0, 1)),
        "continuations": (frame(1, 1, 1, begin), frame(9, 0, 1, b"\0\1x\1y")),
    }
    for what, (first, again) in kinds.items():
        stream = door.open()
        stream.settimeout(15)
        sent, closed = 0, False
        try:
            stream.sendall(preface + first)
            while sent < 200_000:
                stream.sendall(again * 100)
                sent += 100
                stream.settimeout(0.0001)
                try:
                    while stream.recv(1 << 16):
                        pass
                    closed = True
                    break
                except (TimeoutError, ssl.SSLWantReadError):
                    stream.settimeout(15)
        except OSError:
            closed = True
        assert closed, "a flood of %s was taken: %d" % (what, sent)
        stream.close()
    serves(door)
    print("floods of %s end their connections" % ", ".join(kinds))


def big_heads(door, old):
    client = Two(door)
    number = client.ask(fields(more=[("field-%d" % n, "x" * 1000) for n in range(60)]))
    assert client.outcome(number) == 200, "60 KB of fields are good: %s" % client.outcome(number)
    number = client.ask(fields(more=[("field-%d" % n, "x" * 1000) for n in range(80)]))
    assert client.outcome(number) == 431, "80 KB of fields: %s" % client.outcome(number)
    client.socket.close()
    client = Two(door)
    try:
        got = client.outcome(client.ask(fields(more=[("field-%d" % n, "x" * 10_000) for n in range(100)])))
    except h2.exceptions.ProtocolError:
        got = None
    assert got != 200, "a megabyte of fields got %s" % got
    client.socket.close()
    with old.open() as stream:
        stream.settimeout(15)
        try:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")
        except OSError:
            pass
        answer = rawfuzz.Answers(stream).next()
        assert answer is None or answer[0] == 431, answer
    serves(door)
    print("heads of a megabyte are refused over both protocols, one of 80 KB with 431")


def endless(door, old):
    """Bodies without an end against a route that takes 100 kB (limit.test)."""
    with old.open() as stream:
        stream.settimeout(15)
        stream.sendall(b"POST / HTTP/1.1\r\nHost: limit.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 200 << 20:
                stream.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sent += 0x4000
        except OSError:
            pass
        assert sent < 200 << 20, "an endless body was taken"
    client = Two(door)
    number = client.h2.get_next_available_stream_id()
    client.h2.send_headers(number, fields(host="web.test", path="/limited", method="POST"))
    sent = 0
    while number not in client.ended and number not in client.resets and sent < 200 << 20:
        window = min(client.h2.local_flow_control_window(number), 16_384)
        if window > 0:
            try:
                client.h2.send_data(number, b"x" * window)
            except h2.exceptions.ProtocolError:
                break
            sent += window
            client.flush()
        while client.hear(0.0001 if window else 5):
            if client.h2.local_flow_control_window(number) if number not in client.resets else True:
                break
    client.outcome(number)
    assert client.statuses.get(number) == 413, (client.statuses, client.resets, sent)
    client.socket.close()
    serves(door)
    print("bodies without an end are cut, over HTTP/2 with 413")


def loris(door, old, ingress):
    streams = []
    for n in range(200):
        one = old.open()
        one.sendall([b"GET /a", b"POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 300\r\n\r\n{"][n % 2])
        two = door.open()
        # A head that stops in its middle.
        two.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, b"\x82\x87\x84\x41")[:-1])
        three = ingress.open()
        three.sendall(b"GET /a HTTP/1.1\r\nX: ")
        streams += [one, two, three]
    began = time.monotonic()
    serves(door)
    print("beside %d clients that never say all, one is served in %d ms" % (
        len(streams), (time.monotonic() - began) * 1000))
    for stream in streams:
        stream.close()


def smuggling(old, ingress, log):
    texts = {what: text.replace(b"Host: a\r\n", b"Host: web.test\r\n") for what, text in rawfuzz.SMUGGLING.items()}
    hidden = b"GET /hidden HTTP/1.1\r\nHost: web.test\r\n\r\n"
    faults = rawfuzz.smuggle(old, texts, hidden)
    # An ingress speaks HTTP/2 in the clear to those who know: edges do.
    del texts["HTTP/2 unasked"]
    faults += rawfuzz.smuggle(ingress, texts, hidden)
    assert not faults, "\n".join(faults)
    seen = [line for line in open(log) if "hidden" in line]
    assert not seen, "the pod saw %s" % seen
    print("%d ways to hide a request, through edge and ingress: the pod saw none of what was hidden" % len(texts))


def main():
    edge, ingress, pid, certificate, log = sys.argv[1:]
    two, one = Door(edge, certificate, "h2"), Door(edge, certificate)
    plain = Door(ingress)
    memory = lambda: rawfuzz.figures(int(pid))[0]
    serves(two)
    before = memory()
    good(two)
    two_ways(two)
    smuggling(one, plain, log)
    big_heads(two, one)
    endless(two, one)
    loris(two, one, plain)
    rapid_reset(two)
    floods(two)
    # Many at once, beside one who asks all the time.
    failed, stop = [], threading.Event()

    def asks():
        while not stop.is_set():
            try:
                serves(two)
            except Exception as error:
                failed.append(error)
    beside = threading.Thread(target=asks)
    beside.start()
    attacks = [threading.Thread(target=rapid_reset_quietly, args=(two,)) for _ in range(8)]
    [t.start() for t in attacks]
    [t.join() for t in attacks]
    stop.set()
    beside.join()
    assert not failed, "beside rapid resets: %s" % failed[:3]
    after = memory()
    assert after < before + MEMORY, "the daemon grew from %d to %d MB" % (before >> 20, after >> 20)
    print("others are served beside eight who reset; %d MB before, %d after" % (before >> 20, after >> 20))


def rapid_reset_quietly(door):
    client = Two(door)
    try:
        for _ in range(400):
            for _ in range(50):
                number = client.h2.get_next_available_stream_id()
                client.h2.send_headers(number, fields("/slow"), end_stream=True)
                client.h2.reset_stream(number, CALM)
            client.flush()
            if client.closed:
                return
            while client.hear(0.0001):
                pass
    except h2.exceptions.ProtocolError:
        pass


main()
