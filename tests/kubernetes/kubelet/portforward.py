"""Port-forward into pods, as clients speak it: over WebSocket (kube and its like), and over SPDY/3.1 (kubectl).

Over WebSocket, each port has two channels, data and errors; both begin with the port's number, and the first byte of every
message is the channel's. There is no way to say that one direction has ended: the connection ends as a whole.
"""
import socket
import struct
import threading
import urllib.parse

import spdy
from websocket import Closed, WebSocket
from text import log

PROTOCOL = 'v4.channel.k8s.io'
CONNECT_SECONDS = 5


def serve(handler, pod):
    upgrade = handler.headers.get('Upgrade', '').lower()
    if upgrade.startswith('spdy/'):
        return spdy.serve(handler, pod)
    offered = [name.strip() for name in handler.headers.get('Sec-WebSocket-Protocol', '').split(',')]
    if upgrade != 'websocket' or PROTOCOL not in offered:
        return handler.reply(400, f'port-forward needs an upgrade to WebSocket with {PROTOCOL}, or to SPDY/3.1')
    query = urllib.parse.parse_qsl(urllib.parse.urlparse(handler.path).query)
    ports = [int(port) for name, value in query if name in ('port', 'ports') for port in value.split(',')]
    if not ports:
        return handler.reply(400, 'query parameter "ports" is missing')
    forward(WebSocket(handler, PROTOCOL), pod, ports)


def forward(web, pod, ports):
    for at, port in enumerate(ports):
        for channel in (2 * at, 2 * at + 1):
            web.send(struct.pack('<BH', channel, port))
    targets, open_ports = {}, len(ports)
    lock = threading.Lock()

    def ended():
        nonlocal open_ports
        with lock:
            open_ports -= 1
            last = open_ports == 0
        if last:
            web.close()

    def from_pod(channel, target):
        try:
            while data := target.recv(32768):
                web.send(bytes([channel]) + data)
        except (OSError, Closed):
            pass
        try:
            ended()
        except (OSError, Closed):
            pass

    try:
        for at, port in enumerate(ports):
            try:
                target = pod.network.connect('127.0.0.1', port, CONNECT_SECONDS)
                target.settimeout(None)
                targets[2 * at] = target
                threading.Thread(target=from_pod, args=(2 * at, target), daemon=True).start()
            except OSError as error:
                web.send(bytes([2 * at + 1]) + refused(pod, port, error).encode())
                ended()
        while True:
            message = web.receive()
            if message and message[0] in targets:
                targets[message[0]].sendall(message[1:])
    except (OSError, Closed) as error:
        log(f'{pod.key}: port-forward has ended:', error)
    finally:
        for target in targets.values():
            try:
                target.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            target.close()


def refused(pod, port, error):
    return f'error forwarding port {port} to pod {pod.name}, uid {pod.uid}: {error}'
