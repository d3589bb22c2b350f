"""A pod of HTTP/1.1: says what it got, and writes a line for each request.

    echoserver.py ADDRESS PORT LOG
"""

import http.server
import json
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        with open(sys.argv[3], "a") as log:
            log.write("%s %s\n" % (self.command, self.path))
        length = 0
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        elif left := int(self.headers.get("Content-Length", 0)):
            length = len(self.rfile.read(left))
        if self.path.startswith("/slow"):
            time.sleep(1)
        text = json.dumps({"method": self.command, "path": self.path, "length": length,
                           "fields": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
