"""CloudFormation as the command asks it, on loopback: the emulator's answer, with function URLs that can be reached.

A function URL's name leads nowhere without AWS's DNS. The emulator serves the same function below a path of its own, so the
answer names that instead. The command has nothing to know of it: `AWS_ENDPOINT_URL_CLOUDFORMATION` leads it here."""

import http.server
import re
import threading
import urllib.error
import urllib.request


class FrontDoor:
    def __init__(self, emulator):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name: self.headers[name] for name in ("authorization", "content-type", "x-amz-date") if name in self.headers}
                request = urllib.request.Request(emulator.url + self.path, data=body, headers=headers)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        status, text = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read()
                text = re.sub(rb"https://([a-z0-9-]+)\.lambda-url\.[a-z0-9-]+\.on\.aws/", emulator.url.encode() + rb"/_aws/lambda-url/\1/", text)
                self.send_response(status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
