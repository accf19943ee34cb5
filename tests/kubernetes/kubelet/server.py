"""The port that the API server calls: logs and port-forward."""
import http.server
import json
import os
import ssl
import threading
import time
import urllib.parse

import portforward
from text import seconds


class Server:
    def __init__(self, kubelet):
        options = kubelet.options
        handler = type('Handler', (Handler,), {'kubelet': kubelet})
        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        self.http.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
        tls.load_verify_locations(options.client_ca)
        tls.verify_mode = ssl.CERT_REQUIRED
        # The handshake is left to the thread of the connection.
        self.http.socket = tls.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]

    def start(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    rbufsize = 0  # what follows the headers of an upgrade is not to be read ahead

    def log_message(self, *_):
        pass

    def reply(self, code, body, content_type='text/plain'):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(code)
        self.send_header('Content-Type', content_type)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        self.query, parts = dict(urllib.parse.parse_qsl(url.query)), url.path.strip('/').split('/')
        match parts:
            case ['healthz']:
                self.reply(200, 'ok')
            case ['pods']:
                pods = [pod.object for pod in list(self.kubelet.pods.values())]
                body = json.dumps({'kind': 'PodList', 'apiVersion': 'v1', 'items': pods})
                self.reply(200, body, 'application/json')
            case ['containerLogs', namespace, name, container]:
                self.container_logs(namespace, name, container)
            case ['portForward', namespace, name, *_]:
                self.port_forward(namespace, name)
            case _:
                self.reply(404, f'{url.path} is not known to this kubelet')

    do_POST = do_GET

    def port_forward(self, namespace, name):
        pod = self.kubelet.pod(namespace, name)
        if not pod or not pod.network:
            return self.reply(404, f'pod {namespace}/{name} does not run here')
        self.close_connection = True
        portforward.serve(self, pod)

    def container_logs(self, namespace, name, container):
        pod = self.kubelet.pod(namespace, name)
        known = next((one for one in pod.all if one.name == container), None) if pod else None
        if not known:
            return self.reply(404, f'container {container} of pod {namespace}/{name} is not known')
        life = known.restarts - (self.query.get('previous') == 'true')
        path = os.path.join(pod.directory, f'{known.name}.{life}.log')
        if not os.path.exists(path):
            return self.reply(400, f'container "{container}" in pod "{name}" is waiting to start, or has no such log')
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        try:
            with open(path, 'rb') as log:
                self.chunk(self.chosen(log.read()))
                while self.query.get('follow') == 'true':
                    ended = not known.running or known.log != path
                    more = log.read()
                    self.chunk(more)
                    if not more:
                        if ended:
                            break
                        time.sleep(0.05)
            self.wfile.write(b'0\r\n\r\n')
        except OSError:
            self.close_connection = True

    def chosen(self, log):
        if 'tailLines' in self.query:
            lines = log.splitlines(True)
            log = b''.join(lines[max(0, len(lines) - int(self.query['tailLines'])):])
        if 'limitBytes' in self.query:
            log = log[:int(self.query['limitBytes'])]
        if self.query.get('timestamps') == 'true':
            log = b''.join(seconds().encode() + b' ' + line for line in log.splitlines(True))
        return log

    def chunk(self, data):
        if data:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
            self.wfile.flush()
