"""What tests have a node do, by a socket in its directory: a line asks, a line answers, `done` or what is wrong.

    evict NAMESPACE POD RESOURCE GRACE_SECONDS PRESSURE_SECONDS
"""
import os
import socketserver
import threading

import eviction


class Control:
    def __init__(self, kubelet):
        path = os.path.join(kubelet.root, 'control')
        if os.path.exists(path):
            os.unlink(path)  # of an earlier life of this node
        handler = type('Handler', (Handler,), {'kubelet': kubelet})
        self.server = socketserver.ThreadingUnixStreamServer(path, handler)
        self.server.daemon_threads = True

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            answer = self.do(*self.rfile.readline().decode().split())
        except (TypeError, ValueError) as error:
            answer = f'not understood: {error}'
        self.wfile.write(f'{answer}\n'.encode())

    def do(self, verb, *words):
        if verb != 'evict':
            return f'unknown verb "{verb}": evict is known'
        namespace, name, resource, grace, pressure = words
        return self.evict(namespace, name, resource, float(grace), float(pressure))

    def evict(self, namespace, name, resource, grace, pressure):
        pod = self.kubelet.pod(namespace, name)
        if resource not in eviction.SIGNALS:
            return f'unknown resource "{resource}": one of {", ".join(eviction.SIGNALS)}'
        if not pod:
            return f'pod {namespace}/{name} is not on this node'
        if pressure > 0:
            self.kubelet.node.press(resource, pressure)
        decided, result = threading.Event(), []

        def evict():
            result.append(pod.evict(resource, grace))
            decided.set()

        self.kubelet.later(evict)
        decided.wait()
        return 'done' if result[0] else f'pod {namespace}/{name} is ending already'
