"""Servers that take what a gateway tells others: mail over STARTTLS, and posts over HTTP."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer

from tests.support.tls import IssuedCertificate


@dataclass
class Mailbox:
    """`logins` are (user, password), `encrypted` whether each mail came so. `busy` mails are turned away
    before one is taken, and `unknown` addresses always."""

    port: int = 0
    busy: int = 0
    unknown: set[str] = field(default_factory=set)
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)


@contextmanager
def mail_server(issued: IssuedCertificate, implicit: bool = False) -> Iterator[Mailbox]:
    """An SMTP server of its own thread on a free port of 127.0.0.1, while the context is open; `implicit`: it
    speaks TLS from the first byte."""
    box = Mailbox()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)

    class Session(StreamRequestHandler):
        def say(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
            self.wfile.flush()

        def _encrypt(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")

        def handle(self) -> None:
            encrypted = implicit
            if implicit:
                self._encrypt()
            self.say("220 test")
            while line := self.rfile.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                match verb.upper():
                    case "EHLO":
                        self.say("250-test", *([] if encrypted else ["250-STARTTLS"]), "250 AUTH PLAIN")
                    case "STARTTLS":
                        self.say("220 go")
                        self._encrypt()
                        encrypted = True
                    case "AUTH":
                        _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                        box.logins.append((user, password))
                        self.say("235 in")
                    case "MAIL" if box.busy > 0:
                        box.busy -= 1
                        self.say("451 later")
                    case "RCPT" if any(address in rest for address in box.unknown):
                        self.say("550 nobody")
                    case "DATA":
                        self.say("354 go")
                        body = bytearray()
                        while (part := self.rfile.readline()) != b".\r\n":
                            body += part
                        box.mails.append(message_from_bytes(bytes(body), policy=policy.default))
                        box.encrypted.append(encrypted)
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        break
                    case _:
                        self.say("250 ok")
            self.request.close()

    with _serving(ThreadingTCPServer(("127.0.0.1", 0), Session)) as box.port:
        yield box


@dataclass
class PostedRequest:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Posts:
    """`failing` posts are answered with `failing_with` before one is taken; all of them are in `taken`."""

    url: str = ""
    failing: int = 0
    failing_with: int = 503
    taken: list[PostedRequest] = field(default_factory=list)


@contextmanager
def http_receiver() -> Iterator[Posts]:
    """An HTTP server on a free port of 127.0.0.1 that takes posts, while the context is open."""
    posts = Posts()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            failing = posts.failing > 0
            posts.failing -= failing
            posts.taken.append(PostedRequest(self.path, dict(self.headers), body))
            self.send_response(posts.failing_with if failing else 200)
            self.send_header("Location", f"{posts.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Receiver)) as port:
        posts.url = f"http://127.0.0.1:{port}"
        yield posts


@contextmanager
def _serving(server: TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
