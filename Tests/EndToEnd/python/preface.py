"""The PROXY protocol from both ends.

    preface.py serve ADDRESS PORT
        a pod that says as JSON which version of it a connection began with, and who the client is
    preface.py ask SOURCE VERSION CLIENT ADDRESS PORT HOST [CERTIFICATE]
        asks from the address SOURCE on behalf of CLIENT; VERSION is v1, v2, local (v2, of nobody) or none; says the
        status and the body. CERTIFICATE is for TLS.
"""

import ipaddress
import json
import socket
import socketserver
import ssl
import struct
import sys

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def written(version, client, target):
    source = ipaddress.ip_address(client)
    number = "4" if source.version == 4 else "6"
    if version == "none":
        return b""
    if version == "local":
        return SIGNATURE + b"\x20\0\0\0"
    if version == "v1":
        return f"PROXY TCP{number} {client} {target} 4567 443\r\n".encode()
    rest = source.packed + ipaddress.ip_address(target).packed + struct.pack("!HH", 4567, 443)
    return SIGNATURE + bytes([0x21, 0x11 if number == "4" else 0x21]) + struct.pack("!H", len(rest)) + rest


def ask(source, version, client, address, port, host, certificate=None):
    with socket.create_connection((address, int(port)), 10, (source, 0)) as connection:
        connection.sendall(written(version, client, address))
        if certificate:
            tls = ssl.create_default_context(cafile=certificate)
            connection = tls.wrap_socket(connection, server_hostname=host)
        connection.sendall(f"GET /preface/{version} HTTP/1.1\r\nhost: {host}\r\nx-real-ip: 6.6.6.6\r\n"
                           "connection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    print(head.split(b" ")[1].decode() if head else "closed", body.decode())


class Pod(socketserver.StreamRequestHandler):
    def handle(self):
        first = self.rfile.read(12)
        if first == SIGNATURE:
            command, kind, length = struct.unpack("!BBH", self.rfile.read(4))
            rest = self.rfile.read(length)
            size = 4 if kind == 0x11 else 16
            heard = ["v2", str(ipaddress.ip_address(rest[:size]))] if command == 0x21 else ["v2", None]
        elif first.startswith(b"PROXY "):
            heard = ["v1", (first + self.rfile.readline()).split(b" ")[2].decode()]
        else:
            heard = ["none", None]
        while self.rfile.readline().strip():
            pass
        text = json.dumps(dict(zip(["version", "client"], heard))).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if sys.argv[1] == "serve":
    Server((sys.argv[2], int(sys.argv[3])), Pod).serve_forever()
else:
    try:
        ask(*sys.argv[2:])
    except (ssl.SSLError, ConnectionError) as error:
        print("closed", error)
