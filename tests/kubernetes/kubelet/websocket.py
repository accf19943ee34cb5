"""The server's side of RFC 6455, as far as streams over it need: messages of bytes, one connection."""
import base64
import hashlib
import select
import ssl
import struct
import threading

GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MESSAGE_BYTES_MAX = 16 << 20


class Closed(Exception):
    pass


class Duplex:
    """A TLS socket that one thread reads from while others write to it: calls into TLS are one at a time, waits are not."""
    def __init__(self, socket):
        self.socket, self.lock, self.sending = socket, threading.Lock(), threading.Lock()
        self.came = bytearray()  # and was not asked for yet
        socket.setblocking(False)

    def attempt(self, call, *arguments):
        while True:
            try:
                with self.lock:
                    return call(*arguments)
            except (ssl.SSLWantReadError, BlockingIOError):
                select.select([self.socket], [], [])
            except ssl.SSLWantWriteError:
                select.select([], [self.socket], [])

    def receive(self, most):
        data = self.attempt(self.socket.recv, most)
        if not data:
            raise Closed('the connection has ended')
        return data

    def receive_all(self, count):
        while len(self.came) < count:
            self.came += self.receive(max(65536, count - len(self.came)))
        data = bytes(self.came[:count])
        del self.came[:count]
        return data

    def send(self, data):
        with self.sending:
            rest = memoryview(data)
            while rest:
                rest = rest[self.attempt(self.socket.send, rest):]


class WebSocket:
    def __init__(self, handler, protocol):
        key = handler.headers['Sec-WebSocket-Key']
        handler.send_response(101)
        handler.send_header('Upgrade', 'websocket')
        handler.send_header('Connection', 'Upgrade')
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        handler.send_header('Sec-WebSocket-Accept', accept)
        handler.send_header('Sec-WebSocket-Protocol', protocol)
        handler.end_headers()
        handler.wfile.flush()
        self.wire = Duplex(handler.connection)

    def receive(self):
        """The next message; pings are answered on the way."""
        message = b''
        while True:
            first, second = self.wire.receive_all(2)
            length = second & 127
            if length == 126:
                length, = struct.unpack('>H', self.wire.receive_all(2))
            elif length == 127:
                length, = struct.unpack('>Q', self.wire.receive_all(8))
            if length + len(message) > MESSAGE_BYTES_MAX:
                raise Closed(f'a message of {length} bytes')
            mask = self.wire.receive_all(4) if second & 128 else bytes(4)
            data = unmasked(self.wire.receive_all(length), mask)
            code = first & 15
            if code == CLOSE:
                self.frame(CLOSE, data[:2])
                raise Closed('closed by the peer')
            if code == PING:
                self.frame(PONG, data)
            elif code != PONG:
                message += data
                if first & 128:
                    return message

    def send(self, data):
        self.frame(2, data)

    def close(self):
        self.frame(CLOSE, struct.pack('>H', 1000))

    def frame(self, code, data):
        length = len(data)
        if length < 126:
            head = struct.pack('>BB', 128 | code, length)
        elif length < 65536:
            head = struct.pack('>BBH', 128 | code, 126, length)
        else:
            head = struct.pack('>BBQ', 128 | code, 127, length)
        self.wire.send(head + data)


def unmasked(data, mask):
    if not data:
        return data
    key = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, 'big') ^ int.from_bytes(key, 'big')).to_bytes(len(data), 'big')
