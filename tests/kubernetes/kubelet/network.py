"""The network of the pods: each has its own, with a cable to a bridge that all nodes of the cluster share.

The bridge's end of a cable is named `v<number of the node>-<uid>`, so that whoever cuts a node off finds its cables.

A pod's network is a descriptor that this process holds, so nothing is left when it dies. The machine itself is not on the
bridge: this process reaches into a pod through sockets that are made in its network, and lets pods reach the API server
(and the ports of `--reach`) through sockets of theirs that it listens on.
"""
import os
import re
import socket
import subprocess
import threading
import zlib

from kernel import NEW_NET, call
from text import log

PREFIX = 16


class HostNetwork:
    """No networks: pods are on the machine's loopback, and share its ports."""
    is_own = False

    def add(self, uid):
        return PodNetwork('127.0.0.1', None, [])


class Network:
    is_own = True

    def __init__(self, holder, node, ports):
        self.holder, self.ports = holder, ports
        self.bridge = os.open(f'/proc/{holder}/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        digits = re.fullmatch(r'node-(\d+)', node)
        self.subnet = int(digits.group(1)) % 200 if digits else 200 + zlib.crc32(node.encode()) % 55
        self.last, self.used = 1, set()

    def address(self):
        """The next that is free, not the one that has just become so: late packets find nobody."""
        for _ in range(252):
            self.last = self.last + 1 if self.last < 253 else 2
            if self.last not in self.used:
                self.used.add(self.last)
                return self.last
        raise RuntimeError('all addresses of this node are taken')

    def add(self, uid):
        host = self.address()
        address, cable = f'10.244.{self.subnet}.{host}', f'v{self.subnet}-{uid.replace("-", "")[:9]}'
        network = in_thread(new_network)
        try:
            configure(network, f'link set lo up\nlink add eth0 type veth peer name {cable} netns {self.holder}\n'
                               f'addr add {address}/{PREFIX} dev eth0\nlink set eth0 up\n')
            configure(self.bridge, f'link set {cable} master br0 up\n')
            relays = [Relay(network, port) for port in self.ports]
        except Exception:
            os.close(network)
            self.used.discard(host)
            raise
        return PodNetwork(address, network, relays, lambda: self.used.discard(host))


class PodNetwork:
    def __init__(self, address, network, relays, release=lambda: None):
        self.address, self.network, self.relays, self.release = address, network, relays, release

    def connect(self, host, port, timeout):
        """A connection that is made from within the pod."""
        return in_thread(lambda: socket.create_connection((host, port), timeout), self.network)

    def close(self):
        for relay in self.relays:
            relay.close()
        if self.network is not None:
            os.close(self.network)
            self.network = None
            self.release()


class Relay:
    """A port of the machine's loopback, on the loopback of a pod."""
    def __init__(self, network, port):
        self.port = port
        self.listener = in_thread(lambda: socket.create_server(('127.0.0.1', port)), network)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                inner, _ = self.listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection(('127.0.0.1', self.port), 5)
            except OSError:
                inner.close()
                continue
            join(inner, outer)

    def close(self):
        # A thread that waits in accept() is not woken by close().
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def join(one, other):
    """Passes bytes both ways until both have ended."""
    for a, b in ((one, other), (other, one)):
        a.settimeout(None)
        threading.Thread(target=pump, args=(a, b), daemon=True).start()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end, way in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            end.shutdown(way)
        except OSError:
            pass


def new_network():
    call('unshare', NEW_NET)
    return os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)


def in_thread(work, network=None):
    """Does `work` in a thread of its own, which may change its network: the others stay where they are."""
    result = {}

    def run():
        try:
            if network is not None:
                call('setns', network, NEW_NET)
            result['value'] = work()
        except BaseException as error:
            result['error'] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if 'error' in result:
        raise result['error']
    return result['value']


def configure(network, commands):
    done = subprocess.run(['ip', '-batch', '-'], input=commands, text=True, capture_output=True,
                          preexec_fn=lambda: call('setns', network, NEW_NET))
    if done.returncode != 0:
        raise RuntimeError(f'ip: {done.stderr.strip()}')


def probe(holder):
    """Whether pods can have networks; else why not."""
    if holder is None:
        return 'there is no network of the pods'
    try:
        PodNetwork('', in_thread(new_network), []).close()
        return None
    except OSError as error:
        log(error)
        return str(error)
