"""A server that lets everybody in, and says no more than it does at first."""

import socket
import threading


class MuteServer:
    """Takes connections, says `first`, and then nothing. `met` is set when somebody has come."""

    def __init__(self, first: bytes = b"") -> None:
        self.met = threading.Event()
        self._first = first
        self._taken: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(taken)
            taken.sendall(self._first)
            self.met.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._taken:
            connection.close()
