"""The main loop: events of the API server, results of probes and calls of other threads come in one queue, and turn pods.

Only this thread changes pods, and only this thread starts processes of containers.
"""
import concurrent.futures
import os
import queue
import random
import signal
import subprocess
import threading
import time
import traceback
import urllib.parse

import launch
from api import Api
from cgroups import Cgroups
from control import Control
from images import Images
from names import Names, NoNames
from network import HostNetwork, Network, probe
from node import Node
from pod import Pod
from probes import Probes
from server import Server
from text import log, seconds

TURN_SECONDS = 0.05


class Kubelet:
    def __init__(self, options):
        self.options, self.root = options, os.path.abspath(options.root)
        os.makedirs(os.path.join(self.root, 'pods'), exist_ok=True)
        self.api = Api(options.kubeconfig)
        self.images = Images(options.images)
        self.pods, self.queue, self.stopping = {}, queue.Queue(), False
        self.pool = concurrent.futures.ThreadPoolExecutor(32)
        self.probes = Probes(self)
        self.host_network = HostNetwork()
        self.choose_isolation()
        names = options.names_kubeconfig
        self.names = Names(Api(names), lambda: self.later(self.write_names)) if names else NoNames()
        self.server = Server(self)
        self.node = Node(self.api, options, self.server.port, self.isolation)

    def choose_isolation(self):
        lacks = []
        if self.options.isolation != 'none':
            lacks = [why for why in (why_no_mounts(), probe(self.options.network)) if why]
            if lacks and self.options.isolation == 'full':
                raise SystemExit(f'no full isolation: {"; ".join(lacks)}')
        self.isolated = self.options.isolation != 'none' and not lacks
        self.cgroups = Cgroups(self.options.node_name) if self.isolated else NoCgroups()
        self.network = self.host_network
        if self.isolated:
            self.network = Network(self.options.network, self.options.node_name, [self.api.port, *self.options.reach])
            with open(os.path.join(self.root, 'subnet'), 'w') as file:
                file.write(f'{self.network.subnet}\n')
        limits = 'with limits of memory' if self.cgroups.limit_memory else 'WITHOUT limits of memory'
        self.isolation = f'full, {limits}' if self.isolated else 'none'
        log(f'isolation: {self.isolation}', *lacks)
        if not self.isolated:
            log('CONTAINERS ARE PLAIN PROCESSES: they share the network of the machine, and find no services by name')

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, 'stopping', True))
        self.server.start()
        Control(self).start()
        self.node.register()
        self.names.start()
        mine = urllib.parse.quote(f'spec.nodeName={self.node.name}')
        tell = lambda kind, what: self.queue.put((kind, what))
        threading.Thread(target=lambda: self.api.follow(f'/api/v1/pods?fieldSelector={mine}', tell), daemon=True).start()
        while not self.stopping:
            self.take_events()
            for pod in list(self.pods.values()):
                try:
                    pod.turn()
                except Exception:
                    log(f'{pod.key}:', traceback.format_exc())
                    pod.next_try = time.time() + 1
        self.stop()

    def take_events(self):
        try:
            event = self.queue.get(timeout=TURN_SECONDS)
            while True:
                self.on_event(*event)
                event = self.queue.get_nowait()
        except queue.Empty:
            pass

    def later(self, call):
        """Has the main loop do it."""
        self.queue.put(('CALL', call))

    def on_event(self, kind, what):
        if kind == 'CALL':
            what()
        elif kind == 'LIST':
            there = {pod['metadata']['uid'] for pod in what}
            for uid in self.pods.keys() - there:
                self.pods[uid].gone = True
            for pod in what:
                self.on_pod(pod)
        elif kind == 'DELETED':
            if what['metadata']['uid'] in self.pods:
                self.pods[what['metadata']['uid']].gone = True
        else:
            self.on_pod(what)

    def on_pod(self, object):
        metadata = object['metadata']
        pod = self.pods.get(metadata['uid'])
        if not pod:
            over = object.get('status', {}).get('phase') in ('Succeeded', 'Failed')
            if over and not metadata.get('deletionTimestamp'):
                return
            pod = self.pods[metadata['uid']] = Pod(self, object)
            log(f'{pod.key} is bound here')
        pod.changed(object)

    def pod(self, namespace, name):
        """The latest of that name."""
        pods = [pod for pod in list(self.pods.values()) if (pod.namespace, pod.name) == (namespace, name)]
        return pods[-1] if pods else None

    def network_of(self, pod):
        return (self.host_network if pod.spec.get('hostNetwork') else self.network).add(pod.uid)

    def write_names(self):
        for pod in self.pods.values():
            if pod.network:
                pod.write_names()

    def event(self, pod, kind, reason, message, container=None):
        about = {'apiVersion': 'v1', 'kind': 'Pod', 'name': pod.name, 'namespace': pod.namespace, 'uid': pod.uid}
        if container:
            field = 'containers' if container.kind == 'main' else 'initContainers'
            about['fieldPath'] = f'spec.{field}{{{container.name}}}'
        body = {
            'apiVersion': 'v1', 'kind': 'Event', 'involvedObject': about, 'type': kind, 'reason': reason,
            'metadata': {'name': f'{pod.name}.{random.getrandbits(48):x}', 'namespace': pod.namespace},
            'message': message[:1000], 'count': 1, 'firstTimestamp': seconds(), 'lastTimestamp': seconds(),
            'source': {'component': 'kubelet', 'host': self.node.name},
            'reportingComponent': 'kubelet', 'reportingInstance': self.node.name,
        }

        def send():
            try:
                self.api('POST', f'/api/v1/namespaces/{pod.namespace}/events', body)
            except Exception as error:
                log('event:', error)

        self.pool.submit(send)

    def stop(self):
        """Ends all containers, and leaves nothing of them."""
        running = [(pod, container) for pod in self.pods.values() for container in pod.all if container.running]
        log('stopping, with', len(running), 'containers')
        for pod, container in running:
            launch.signal_to(pod, container, signal.SIGTERM)
        until = time.time() + self.options.stop_grace
        while time.time() < until and any(container.process.poll() is None for _, container in running):
            time.sleep(TURN_SECONDS)
        for pod, container in running:
            launch.signal_to(pod, container, signal.SIGKILL)
        for _, container in running:
            container.process.wait()
        for pod in self.pods.values():
            pod.close()
        self.cgroups.remove_all()
        os._exit(0)  # whatever other threads wait for


class NoCgroups:
    limit_memory = False

    def add(self, container, limits):
        return {}

    def oom_kills(self, container):
        return 0

    def remove(self, container):
        pass

    def remove_all(self):
        pass


def why_no_mounts():
    """Tries what containers need."""
    if os.geteuid() != 0:
        return 'not root'
    script = ('mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root && mount -t overlay overlay '
              '-o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root')
    command = ['unshare', '-m', '-p', '-u', '-f', '--propagation', 'private', 'sh', '-c', script]
    tried = subprocess.run(command, capture_output=True, text=True)
    return None if tried.returncode == 0 else f'mounts: {tried.stderr.strip()}'
