"""Probes of containers, and the commands and requests of hooks."""
import http.client
import ssl
import subprocess

import environment
import launch

KINDS = ('startupProbe', 'livenessProbe', 'readinessProbe')


class Probes:
    def __init__(self, kubelet):
        self.kubelet = kubelet

    def turn(self, pod, container, moment):
        """Begins those that are due; their results come as calls of the main loop."""
        for kind in KINDS:
            probe = container.spec.get(kind)
            if not probe or (kind == 'startupProbe') == container.started:
                continue
            due = container.began + probe.get('initialDelaySeconds', 0)
            state = container.probes.setdefault(kind, {'next': due, 'good': 0, 'bad': 0, 'busy': False})
            if state['busy'] or moment < state['next']:
                continue
            state['busy'], state['next'] = True, moment + probe.get('periodSeconds', 10)
            self.kubelet.pool.submit(self.probe, pod, container, container.id, kind, probe)

    def probe(self, pod, container, id, kind, probe):
        try:
            passed, words = self.check(pod, container, probe, probe.get('timeoutSeconds', 1)), ''
        except Exception as error:
            passed, words = False, str(error)
        self.kubelet.later(lambda: self.result(pod, container, id, kind, passed, words))

    def result(self, pod, container, id, kind, passed, words):
        if container.id != id or not container.running or kind not in container.probes:
            return  # of a life that is over
        state, probe = container.probes[kind], container.spec[kind]
        state['busy'] = False
        state['good'], state['bad'] = (state['good'] + 1, 0) if passed else (0, state['bad'] + 1)
        if state['bad'] == 1:
            message = f'{kind[:-5].capitalize()} probe failed: {words}'
            self.kubelet.event(pod, 'Warning', 'Unhealthy', message, container)
        if kind == 'readinessProbe':
            if state['good'] >= probe.get('successThreshold', 1) and container.kill_at is None:
                container.ready = True
            elif state['bad'] >= probe.get('failureThreshold', 3):
                container.ready = False
            return
        if kind == 'startupProbe' and passed:
            container.started = True
        if state['bad'] >= probe.get('failureThreshold', 3) and container.kill_at is None:
            launch.end(pod, container, probe.get('terminationGracePeriodSeconds', pod.grace))

    def check(self, pod, container, what, timeout):
        if 'exec' in what:
            return self.run(pod, container, what['exec']['command'], timeout)
        if 'httpGet' in what:
            return self.request(pod, container, what['httpGet'], timeout)
        target = what.get('tcpSocket') or what.get('grpc')
        pod.network.connect(target.get('host') or pod.address, port_of(container, target['port']), timeout).close()
        return True

    def run(self, pod, container, command, timeout):
        if self.kubelet.isolated:
            image = self.kubelet.images.find(container.spec['image']) or {}
            env = environment.variables(pod, container, image)
            enter = ['nsenter', '-t', str(container.process.pid), '-m', '-u', '-p', '-n', '-r', '-w', '--', 'env', '-i']
            command = enter + [f'{name}={value}' for name, value in env.items()] + command
        else:
            command = [container.in_place(word) for word in command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr).decode(errors='replace')[:500])
        return True

    def request(self, pod, container, get, timeout):
        port = port_of(container, get['port'])
        connection = http.client.HTTPConnection(get.get('host') or pod.address, port, timeout=timeout)
        connection.sock = pod.network.connect(connection.host, port, timeout)
        if get.get('scheme') == 'HTTPS':
            connection.sock = ssl._create_unverified_context().wrap_socket(connection.sock)
        headers = {'User-Agent': 'kube-probe/1.36'} | {h['name']: h['value'] for h in get.get('httpHeaders', [])}
        try:
            connection.request('GET', get.get('path', '/'), headers=headers)
            status = connection.getresponse().status
        finally:
            connection.close()
        if not 200 <= status < 400:
            raise RuntimeError(f'HTTP probe failed with statuscode: {status}')
        return True


def port_of(container, port):
    if isinstance(port, int):
        return port
    return next(known['containerPort'] for known in container.spec.get('ports', []) if known.get('name') == port)
