"""Port-forward as clients over WebSocket do it, through the API server: KUBECONFIG NAMESPACE POD PORT. Prints what the pod's
side says to a request, or what the error channel does."""
import base64
import json
import os
import socket
import ssl
import struct
import sys
import urllib.parse

kubeconfig, namespace, pod, port = sys.argv[1:]
with open(kubeconfig) as file:
    config = json.load(file)
cluster, user = config['clusters'][0]['cluster'], config['users'][0]['user']
tls = ssl.create_default_context(cafile=cluster['certificate-authority'])
tls.load_cert_chain(user['client-certificate'], user['client-key'])
server = urllib.parse.urlparse(cluster['server'])
wire = tls.wrap_socket(socket.create_connection((server.hostname, server.port), 60), server_hostname=server.hostname)
key = base64.b64encode(os.urandom(16)).decode()
wire.sendall((f'GET /api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port} HTTP/1.1\r\n'
              f'Host: {server.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
              f'Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n').encode())
stream = wire.makefile('rb')
status = stream.readline().decode().strip()
if ' 101 ' not in status:
    sys.exit(status)
while stream.readline().strip():
    pass


def frame():
    code, length = stream.read(2)
    if length == 126:
        length, = struct.unpack('>H', stream.read(2))
    return code & 15, stream.read(length)


for channel in (0, 1):
    expected = struct.pack('<BH', channel, int(port))
    if frame() != (2, expected):
        sys.exit(f'channel {channel} does not begin with the port')
request, mask = b'\0GET / HTTP/1.1\r\n\r\n', os.urandom(4)
masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(request))
wire.sendall(struct.pack('>BB', 0x82, 0x80 | len(request)) + mask + masked)
said = {0: b'', 1: b''}
while True:
    code, message = frame()
    if code == 8:
        break
    said[message[0]] += message[1:]
print(said[1].decode() or said[0].decode().rsplit('\r\n', 1)[-1])
