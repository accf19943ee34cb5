"""Port-forward over SPDY/3.1, which kubectl still speaks through the API server: streams with compressed headers, and no
flow control, as on real nodes.

For each connection, a client opens two streams with the same `requestID`: one for errors, one for data.
"""
import socket
import struct
import threading
import zlib

from text import log
from websocket import Closed, Duplex

VERSION = 0x8003
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
CONNECT_SECONDS = 5

# The dictionary of section 2.6.10.1 of the protocol, without which no header can be read: names, each after its length,
# then other words.
NAMES = (
    'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow '
    'authorization cache-control connection content-base content-encoding content-language content-length content-location '
    'content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match '
    'if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range '
    'referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get '
    'status|200 OK|version|HTTP/1.1|url|public|set-cookie|keep-alive|origin')
WORDS = (
    '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative '
    'Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal '
    'Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, '
    'Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,'
    'text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.')


def dictionary():
    head, *rest = NAMES.split('|')
    names = head.split(' ') + rest
    return b''.join(struct.pack('>I', len(name)) + name.encode() for name in names) + WORDS.encode()


def serve(handler, pod):
    handler.send_response(101)
    handler.send_header('Connection', 'Upgrade')
    handler.send_header('Upgrade', 'SPDY/3.1')
    handler.send_header('X-Stream-Protocol-Version', 'portforward.k8s.io')
    handler.end_headers()
    handler.wfile.flush()
    Connection(Duplex(handler.connection), pod).serve()


class Connection:
    def __init__(self, wire, pod):
        self.wire, self.pod = wire, pod
        self.inflate = zlib.decompressobj(zdict=dictionary())
        self.deflate = zlib.compressobj(zdict=dictionary())
        self.errors, self.targets = {}, {}  # streams of errors by request; connections into the pod by their stream

    def serve(self):
        try:
            while True:
                first, second = struct.unpack('>II', self.wire.receive_all(8))
                payload = self.wire.receive_all(second & 0xffffff)
                if first >> 31:
                    self.control(first & 0xffff, second >> 24, payload)
                else:
                    self.data(first, second >> 24, payload)
        except (OSError, Closed) as error:
            log(f'{self.pod.key}: port-forward has ended:', error)
        finally:
            for target in list(self.targets.values()):
                shut(target, socket.SHUT_RDWR)

    def control(self, kind, flags, payload):
        if kind == SYN_STREAM:
            stream, = struct.unpack('>I', payload[:4])
            self.opened(stream, self.headers(payload[10:]))
        elif kind == PING:
            self.frame(PING, payload)
        elif kind == RST_STREAM:
            stream, = struct.unpack('>I', payload[:4])
            if stream in self.targets:
                shut(self.targets[stream], socket.SHUT_RDWR)
        elif kind == GOAWAY:
            raise Closed('closed by the peer')

    def headers(self, block):
        text = self.inflate.decompress(block)
        count, = struct.unpack('>I', text[:4])
        words, at = [], 4
        for _ in range(2 * count):
            length, = struct.unpack('>I', text[at:at + 4])
            words.append(text[at + 4:at + 4 + length].decode())
            at += 4 + length
        return dict(zip(words[::2], words[1::2]))

    def opened(self, stream, headers):
        empty = self.deflate.compress(struct.pack('>I', 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.frame(SYN_REPLY, struct.pack('>I', stream) + empty)
        request, port = headers.get('requestid'), int(headers.get('port', '0'))
        if headers.get('streamtype') == 'error':
            self.errors[request] = stream
            return
        errors = self.errors.pop(request, None)
        try:
            target = self.pod.network.connect('127.0.0.1', port, CONNECT_SECONDS)
        except OSError as error:
            message = f'error forwarding port {port} to pod {self.pod.name}, uid {self.pod.uid}: {error}'
            if errors is not None:
                self.send(errors, message.encode(), FIN)
            self.send(stream, b'', FIN)
            return
        target.settimeout(None)
        self.targets[stream] = target
        threading.Thread(target=self.from_pod, args=(stream, errors, target), daemon=True).start()

    def from_pod(self, stream, errors, target):
        try:
            try:
                while data := target.recv(32768):
                    self.send(stream, data)
            except ConnectionError:
                pass  # the pod's side has gone: to the client, an end
            self.send(stream, b'', FIN)
            if errors is not None:
                self.send(errors, b'', FIN)
        except (OSError, Closed):
            shut(target, socket.SHUT_RDWR)

    def data(self, stream, flags, payload):
        target = self.targets.get(stream)
        if not target:
            return
        try:
            target.sendall(payload)
            if flags & FIN:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            shut(target, socket.SHUT_RDWR)

    def send(self, stream, data, flags=0):
        self.wire.send(struct.pack('>II', stream, flags << 24 | len(data)) + data)

    def frame(self, kind, payload):
        self.wire.send(struct.pack('>HHI', VERSION, kind, len(payload)) + payload)


def shut(target, how):
    try:
        target.shutdown(how)
    except OSError:
        pass
