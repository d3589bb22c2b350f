"""Spoilt requests, byte for byte, against a running gateway: each gets a whole answer or a clean close.

    rawfuzz.py PID [CASES [SEED [CASE]]]

PID is the gateway's, whose memory and open files are watched; CASE repeats one case and shows it. Nothing but Python's
own library is needed. KUBECONFIG names the gateway and the certificate to come with.
"""

import base64
import json
import os
import random
import re
import socket
import ssl
import sys
import tempfile
import threading

PATIENCE = 0.4  # seconds that an answer may take before the request counts as one whose end the server waits for
THREADS = 16
MEMORY = 96 << 20  # bytes that the gateway may grow by


# What is refused before it is a request of the API.
BARE = (400, 408, 413, 414, 417, 431, 501, 505)


# MARK: Talking

class Door:
    """Where the gateway is and how to come in."""

    def __init__(self, path):
        text = open(path).read()
        self.host, port = re.search(r'server: "?https://([^:"\s]+):(\d+)', text).groups()
        self.port = int(port)
        with tempfile.TemporaryDirectory() as folder:
            def file(name):
                found = re.search(name + r": (\S+)", text).group(1)
                with open(os.path.join(folder, name), "wb") as out:
                    out.write(base64.b64decode(found))
                return out.name
            self.context = ssl.create_default_context(cafile=file("certificate-authority-data"))
            self.context.load_cert_chain(file("client-certificate-data"), file("client-key-data"))

    def open(self):
        plain = socket.create_connection((self.host, self.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=self.host)


class Answers:
    """What comes back on one connection, answer by answer."""

    def __init__(self, stream):
        self.stream, self.rest = stream, b""

    def more(self):
        try:
            piece = self.stream.recv(1 << 16)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError):
            piece = b""
        self.rest += piece
        return bool(piece)

    def until(self, mark):
        while mark not in self.rest:
            if not self.more():
                return None
        text, self.rest = self.rest.split(mark, 1)
        return text

    def exactly(self, count):
        while len(self.rest) < count:
            if not self.more():
                raise Broken("the answer ends after %d of %d bytes" % (len(self.rest), count))
        text, self.rest = self.rest[:count], self.rest[count:]
        return text

    def next(self, isHead=False):
        """(status, fields, body) of the next answer; None when the connection was closed before it."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            if self.rest:
                raise Broken("half a head: %r" % self.rest)
            return None
        lines = head.split(b"\r\n")
        first = re.fullmatch(rb"HTTP/1\.1 ([1-5]\d\d) ?[ -~]*", lines[0])
        if not first:
            raise Broken("no status line: %r" % lines[0])
        fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(rb"[\r\n\0]", value):
                raise Broken("no field: %r" % line)
            fields[name.lower().decode()] = value.strip().decode()
        status = int(first.group(1))
        if isHead or status in (204, 304) or status < 200:
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = self.until(b"\r\n")
                if size is None:
                    raise Broken("chunks without an end")
                if int(size, 16) == 0:
                    self.exactly(2)
                    return status, fields, body
                body += self.exactly(int(size, 16))
                if self.exactly(2) != b"\r\n":
                    raise Broken("a chunk without its end")
        return status, fields, self.exactly(int(fields.get("content-length", 0)))


class Broken(Exception):
    """An answer that is none."""


def judge(answer, isHead=False):
    """What is wrong with a whole answer; None when nothing is."""
    status, fields, body = answer
    if status == 500 or not 100 <= status < 600:
        return "status %d: %s" % (status, body[:300])
    if status >= 400 and body and fields.get("content-type") == "application/json":
        said = json.loads(body)
        if said.get("kind") != "Status" or said.get("code") != status:
            return "%d is no Status: %s" % (status, body[:300])
    if status >= 400 and not body and not isHead and status not in BARE:
        return "%d says nothing" % status
    return None


# MARK: Requests

POD = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a%d"},"spec":{"containers":[{"name":"c","image":"i"}]}}'
MAP = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m%d","labels":{"a":"b"}},"data":{"k":"v"}}'
YAML = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: &n y%d, labels: {a: *n}}\ndata:\n  t: |-\n    one\n  u: >\n    two\n"
DEPLOYMENT = (
    b'{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d%d"},"spec":{"replicas":1,"selector":'
    b'{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":'
    b'"i","resources":{"limits":{"cpu":"100m","memory":"1Gi"}},"ports":[{"containerPort":80}]}]}}}}')
DEFINITION = (
    b'{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"as.fuzz%d.test"},'
    b'"spec":{"group":"fuzz%d.test","scope":"Namespaced","names":{"plural":"as","kind":"A"},"versions":[{"name":"v1",'
    b'"served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",'
    b'"properties":{"a":{"type":"string","pattern":"^a+$"}}}}}}}]}}')
SPACE = b"/api/v1/namespaces/default"
DEPLOYMENTS = b"/apis/apps/v1/namespaces/default/deployments"
DEFINITIONS = b"/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# (method, target, content type, body); %d is a small number.
REQUESTS = [
    (b"POST", SPACE + b"/pods?fieldValidation=Strict", b"application/json", POD),
    (b"POST", SPACE + b"/configmaps?dryRun=All&fieldManager=me", b"application/json", MAP),
    (b"PUT", SPACE + b"/configmaps/m%d", b"application/json", MAP),
    (b"POST", SPACE + b"/configmaps", b"application/yaml", YAML),
    (b"POST", DEPLOYMENTS, b"application/json", DEPLOYMENT),
    (b"POST", DEFINITIONS, b"application/json", DEFINITION),
    (b"PATCH", SPACE + b"/configmaps/m%d", b"application/merge-patch+json", b'{"data":{"k":null,"l":"w%d"}}'),
    (b"PATCH", SPACE + b"/configmaps/m%d", b"application/json-patch+json",
     b'[{"op":"test","path":"/data/k","value":"v"},{"op":"copy","from":"/data/k","path":"/data/a~1b"}]'),
    (b"PATCH", DEPLOYMENTS + b"/d%d", b"application/strategic-merge-patch+json",
     b'{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"c"}],"containers":[{"name":"c","env":'
     b'[{"name":"A","value":"%d"}]},{"$patch":"delete","name":"x"}]}}}}'),
    (b"PATCH", SPACE + b"/configmaps/s%d?fieldManager=me&force=true", b"application/apply-patch+yaml", YAML),
    (b"PATCH", DEPLOYMENTS + b"/d%d/scale", b"application/merge-patch+json", b'{"spec":{"replicas":%d}}'),
    (b"DELETE", SPACE + b"/pods/a%d?propagationPolicy=Background", b"application/json",
     b'{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":"u"}}'),
    (b"DELETE", SPACE + b"/configmaps?labelSelector=a%%3Db", b"", b""),
    (b"GET", SPACE + b"/pods?labelSelector=a+in+(b,c),!d&fieldSelector=spec.nodeName%%3Dn,status.phase!%%3DRunning", b"", b""),
    (b"GET", b"/api/v1/pods?limit=2&continue=MTIg&resourceVersion=%d&resourceVersionMatch=Exact", b"", b""),
    (b"GET", b"/api/v1/configmaps?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true"
     b"&resourceVersionMatch=NotOlderThan", b"", b""),
    (b"GET", SPACE + b"/pods/a%d/log?follow=true&tailLines=%d", b"", b""),
    (b"GET", SPACE + b"/pods/a%d/exec?command=a&stdout=true", b"", b""),
    (b"GET", b"/openapi/v3/apis/apps/v1?hash=%d", b"", b""), (b"GET", b"/openapi/v2", b"", b""),
    (b"GET", b"/readyz?verbose&exclude=etcd", b"", b""), (b"GET", b"/metrics", b"", b""), (b"HEAD", b"/apis", b"", b""),
    (b"OPTIONS", b"*", b"", b""), (b"POST", SPACE + b"/pods/a%d/eviction", b"application/json",
                                   b'{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"a%d"}}'),
    (b"POST", SPACE + b"/serviceaccounts/default/token", b"application/json", b'{"spec":{"expirationSeconds":600}}'),
    (b"POST", b"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", b"application/json",
     b'{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}'),
    (b"GET", SPACE + b"/services/http:web:80/proxy/a?b=c", b"", b""),
]
ACCEPTS = [
    b"application/json", b"*/*", b"application/yaml", b"application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    b"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", b"application/vnd.kubernetes.protobuf",
    b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", b",;q=9",
]
FIELDS = [
    b"Accept-Encoding: gzip", b"Impersonate-User: jane", b"Impersonate-Group: system:masters", b"Expect: 100-continue",
    b"Connection: close", b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    b"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io", b"Upgrade: SPDY/3.1\r\nConnection: Upgrade",
    b"If-None-Match: \"a\"", b"Authorization: Bearer x.y.z", b"Content-Encoding: gzip", b"Transfer-Encoding: chunked",
    b"Content-Length: 5", b"X: " + b"y" * 9000, b"Kubectl-Command: get", b"User-Agent: \xff\xfe", b"Trailer: A",
    b"Impersonate-Extra-a%2Fb: c", b"Origin: https://example.test", b"Range: bytes=0-1",
]
NUMBERS = [b"-1", b"0", b"99999999999999999999", b"1e400", b"0x10", b"null", b"true", b'""', b"[]", b"{}", b"1.5", b"NaN"]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b"%00", b"%2e%2e%2f", b"//", b"..", b"%", b"%zz", b"&", b"=", b"?", b"#", b";", b",",
    b'"', b"\\", b"{", b"}", b"[", b"]", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"*", b"&x", b"!!binary ", b"<<: ", b"|",
    b"- ", b"\t", b" ", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"null", b"$patch", b"/status", b"watch=true&",
] + NUMBERS


def spoil(bytes_, chance, rounds):
    bytes_ = bytearray(bytes_)
    for _ in range(rounds):
        at = chance.randrange(len(bytes_) + 1)
        end = min(len(bytes_), at + chance.choice((1, 1, 4, 20)))
        kind = chance.randrange(7)
        if kind == 0:
            bytes_[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del bytes_[at:end]
        elif kind == 2:
            bytes_[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
        elif kind == 3:
            bytes_[at:at] = bytes_[at:end] * chance.choice((1, 2, 200))
        elif kind == 4:
            bytes_[at:end] = chance.choice(PIECES)
        elif found := list(re.finditer(rb"\d+", bytes_)):
            one = chance.choice(found)
            bytes_[one.start():one.end()] = chance.choice(NUMBERS)
        else:
            bytes_[at:at] = chance.choice(PIECES) * chance.choice((1, 50, 1500))
    return bytes(bytes_)


def chunked(body, chance):
    text = b""
    while body:
        size = chance.randrange(1, len(body) + 1)
        extension = chance.choice((b"", b"", b";a=b", b';a="b"'))
        text += b"%x%s\r\n%s\r\n" % (size, extension, body[:size])
        body = body[size:]
    return text + b"0\r\n" + chance.choice((b"", b"", b"A: b\r\n")) + b"\r\n"


def request(chance):
    method, target, kind, body = chance.choice(REQUESTS)
    target, body = (text.replace(b"%d", b"%d" % chance.randrange(4)).replace(b"%%", b"%") for text in (target, body))
    part = chance.randrange(5)  # what is spoilt: the target, the fields, the body, all of the text, nothing
    if part == 0:
        target = spoil(target, chance, chance.randrange(1, 4)).replace(b"\r\n", b"")
    lines = [b"Host: localhost", b"Accept: " + chance.choice(ACCEPTS)]
    if part == 1 or not chance.randrange(5):
        lines += chance.sample(FIELDS, chance.randrange(1, 3))
    if part == 2 and body:
        body = spoil(body, chance, chance.randrange(1, 5))
    if kind:
        lines.append(b"Content-Type: " + (kind if chance.randrange(8) else chance.choice(REQUESTS)[2]))
    if body and not chance.randrange(3):
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(body, chance)
        if part == 1:
            body = spoil(body, chance, 1)
    elif body:
        lines.append(b"Content-Length: %d" % len(body))
    if part == 1:
        lines[-1] = spoil(lines[-1], chance, 1)
        chance.shuffle(lines)
    text = b"%s %s HTTP/1.1\r\n%s\r\n\r\n%s" % (method, target, b"\r\n".join(lines), body)
    return spoil(text, chance, chance.randrange(1, 4)) if part == 3 else text


# MARK: Smuggling

HEAD = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
HIDDEN = b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n"
# What two servers in a row could read in two ways: refused, with the connection, before what is hidden is looked at.
SMUGGLING = {
    "both lengths": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
    "two lengths in one field": HEAD + b"Content-Length: 2, 40\r\n\r\n{}",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a space in it": HEAD + b"Content-Length: 2 2\r\n\r\n{}",
    "a length that wraps": HEAD + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "no length": HEAD + b"Content-Length:\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 40\r\n\r\n",
    "a tab before the colon": HEAD + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a space before the name": HEAD + b" Content-Length: 40\r\n\r\n",
    "a folded field": HEAD + b"X: a\r\n Content-Length: 40\r\n\r\n",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two fields of coding": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding in quotes": HEAD + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "a vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare CR in a value": HEAD + b"X: a\rContent-Length: 40\r\n\r\n",
    "a NUL in a value": HEAD + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a name": HEAD + b"X\0: a\r\nContent-Length: 2\r\n\r\n{}",
    "a bare LF in a value": HEAD + b"X: a\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a field without a name": HEAD + b": a\r\nContent-Length: 2\r\n\r\n{}",
    "a field without a colon": HEAD + b"Content-Length 2\r\n\r\n{}",
    "a signed chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk in decimal clothes": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a space before": HEAD + b"Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n",
    "a chunk that wraps": HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk's end that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
    "a chunk's line ended by LF": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "a chunk ended by LF": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n",
    "a bare LF in an extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
    "a bare CR in an extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a\rb\r\n{}\r\n0\r\n\r\n",
    "two hosts": b"GET /api HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET /api HTTP/1.1\r\n\r\n",
    "a host with a space": b"GET /api HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a target with a space": b"GET /api /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with a tab": b"GET\t/api\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with a NUL": b"GET /api\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a version of long ago": b"GET /api\r\n\r\n",
    "a version to come": b"GET /api HTTP/3.0\r\nHost: a\r\n\r\n",
    "a version of two digits": b"GET /api HTTP/1.10\r\nHost: a\r\n\r\n",
    "a lower-case version": b"GET /api http/1.1\r\nHost: a\r\n\r\n",
    "a method that is none": b"G(T /api HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a line without an end": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "fields without an end": b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "too many fields": b"GET /api HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10_000 + b"\r\n",
    "a body over the bound": HEAD + b"Content-Length: 9999999999\r\n\r\n",
}


def smuggle(door, texts=SMUGGLING, hidden=HIDDEN):
    faults = []
    for what, text in texts.items():
        with door.open() as stream:
            stream.settimeout(10)
            answers, seen = Answers(stream), []
            try:
                try:
                    stream.sendall(text + hidden)
                except OSError:
                    pass  # it closed before it had read everything
                while answer := answers.next():
                    seen.append(answer[0])
            except (Broken, TimeoutError, OSError) as error:
                seen.append("%s: %s" % (type(error).__name__, error))
            if len(seen) > 1 or any(not isinstance(s, int) or not (400 <= s < 500 or s in (501, 505)) for s in seen):
                faults.append("%s: answered with %s" % (what, seen))
    return faults


# MARK: The run

def case(seed, number):
    return request(random.Random(seed * 1_000_003 + number))


class Run:
    def __init__(self, door, cases, seed):
        self.door, self.cases, self.seed = door, iter(range(cases)), seed
        self.lock = threading.Lock()
        self.faults, self.statuses, self.waiting, self.closed = [], {}, 0, 0

    def worker(self):
        stream = None
        while True:
            with self.lock:
                number = next(self.cases, None)
            if number is None or len(self.faults) > 20:
                break
            try:
                stream = self.one(stream, case(self.seed, number))
            except Exception as error:
                stream = None
                self.faults.append("case %d: %s: %s" % (number, type(error).__name__, error))

    def one(self, stream, text):
        """Sends one text; returns the connection when it can serve the next."""
        stream = stream or self.door.open()
        stream.settimeout(PATIENCE)
        answers = Answers(stream)
        isHead = text.lstrip(b"\r\n").startswith(b"HEAD ")
        try:
            stream.sendall(text)
            while (answer := answers.next(isHead)) and answer[0] == 100:
                pass
        except TimeoutError:
            with self.lock:
                self.waiting += 1
            stream.close()
            return None
        except (BrokenPipeError, ConnectionError, ssl.SSLError):
            answer = None
        if answer is None:
            with self.lock:
                self.closed += 1
            stream.close()
            return None
        with self.lock:
            self.statuses[answer[0]] = self.statuses.get(answer[0], 0) + 1
        if wrong := judge(answer, isHead):
            raise Broken(wrong)
        # More than one answer may be due to a text that holds more than one request.
        stream.settimeout(0.001)
        try:
            if answers.rest or answer[0] == 101 or answer[1].get("connection") == "close" or answers.more():
                stream.close()
                return None
        except (TimeoutError, ssl.SSLWantReadError):
            return stream
        stream.close()
        return None


def loris(door):
    """Four hundred clients that never say all, at once."""
    streams = [door.open() for _ in range(400)]
    for number, stream in enumerate(streams):
        stream.sendall([b"GET /api", HEAD + b"X: a", HEAD + b"Content-Length: 3000000\r\n\r\n{",
                        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff"][number % 4])
    with door.open() as stream:
        stream.settimeout(20)
        stream.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = Answers(stream).next()
        assert answer and answer[0] == 200, "the gateway does not answer beside clients that never say all"
    for stream in streams:
        stream.close()


def figures(pid):
    pages = int(open("/proc/%d/statm" % pid).read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/%d/fd" % pid))


def main():
    pid, cases, seed, one = (int(v) for v in (sys.argv[1:] + ["0", "2000", "1", "-1"][len(sys.argv) - 1:]))
    door = Door(os.environ["KUBECONFIG"])
    if one >= 0:
        print(case(seed, one))
        Run(door, 0, seed).one(None, case(seed, one))
        return
    faults = smuggle(door)
    print("%d ways to hide a request: %d get through" % (len(SMUGGLING), len(faults)))
    before = figures(pid)
    loris(door)
    run = Run(door, cases, seed)
    threads = [threading.Thread(target=run.worker) for _ in range(THREADS)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    faults += run.faults
    after = figures(pid)
    if after[0] > before[0] + MEMORY:
        faults.append("the gateway grew from %d to %d MB" % (before[0] >> 20, after[0] >> 20))
    with door.open() as stream:
        stream.settimeout(20)
        stream.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = Answers(stream).next()
        if not answer or answer[0] != 200:
            faults.append("the gateway is not ready any more: %s" % (answer,))
    print("%d spoilt requests (seed %d): %s, %d closed, %d waited for more; %d MB before, %d after; %d open files, %d after" % (
        cases, seed, ", ".join("%dx %d" % (n, s) for s, n in sorted(run.statuses.items())), run.closed, run.waiting,
        before[0] >> 20, after[0] >> 20, before[1], after[1]))
    for fault in faults:
        print("FAULT: " + fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
