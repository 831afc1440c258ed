"""An HTTP endpoint that remembers what it was pushed, and answers as it is told."""

import http.server
import threading
import time


class Receiver:
    def __init__(self):
        self.pushes = []
        self.status = 200
        self.delay = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status = outer.status
                time.sleep(outer.delay)
                outer.pushes.append((status, self.path, {k.lower(): v for k, v in self.headers.items()}, body.decode()))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """A function that is killed resets its connections: expected here, and told of nowhere."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self, path):
        """What was accepted at this path."""
        return [push for push in list(self.pushes) if push[0] < 300 and push[1] == path]

    def refused(self, path):
        return [push for push in list(self.pushes) if push[0] >= 300 and push[1] == path]

    def ids(self, path):
        return [push[2]["x-mns-message-id"] for push in self.taken(path)]
