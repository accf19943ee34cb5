"""The Node object: registration, signs of life, pressure."""
import os
import threading
import time
import uuid

import eviction
from api import MERGE, STRATEGIC_MERGE, ApiError
from text import log, micros, pairs, seconds

LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
CONDITIONS = {
    'MemoryPressure': ('KubeletHasSufficientMemory', 'KubeletHasInsufficientMemory'),
    'DiskPressure': ('KubeletHasNoDiskPressure', 'KubeletHasDiskPressure'),
    'PIDPressure': ('KubeletHasSufficientPID', 'KubeletHasInsufficientPID'),
}
# A lease tells of life more often than the status does, as on real nodes.
BEATS_PER_STATUS = 5


class Node:
    def __init__(self, api, options, port, isolation):
        self.api, self.options, self.name = api, options, options.node_name
        self.capacity = {'cpu': options.cpu, 'memory': options.memory, 'pods': str(options.max_pods),
                         'ephemeral-storage': '100Gi', **pairs(options.resource)}
        self.since = {kind: seconds() for kind in ('Ready', *CONDITIONS)}
        self.pressures = {}  # condition -> until when
        self.lock = threading.Lock()
        self.isolation = isolation
        self.status = {
            'capacity': self.capacity, 'allocatable': self.capacity,
            'addresses': [{'type': 'InternalIP', 'address': '127.0.0.1'}, {'type': 'Hostname', 'address': self.name}],
            'daemonEndpoints': {'kubeletEndpoint': {'Port': port}},
            'nodeInfo': {
                'kubeletVersion': 'v1.36.0-process', 'containerRuntimeVersion': 'process://1', 'osImage': 'process',
                'architecture': 'amd64', 'operatingSystem': 'linux', 'kernelVersion': os.uname().release,
                'machineID': self.name, 'systemUUID': self.name, 'bootID': str(uuid.uuid4()), 'kubeProxyVersion': '',
            },
        }

    def register(self):
        labels = {'kubernetes.io/hostname': self.name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64',
                  **pairs(self.options.label)}
        taints = [taint(text) for text in self.options.taint]
        metadata = {'name': self.name, 'labels': labels, 'annotations': {'flott.dev/isolation': self.isolation}}
        try:
            self.api('POST', '/api/v1/nodes', {'apiVersion': 'v1', 'kind': 'Node', 'metadata': metadata,
                                               'spec': {'taints': taints} if taints else {}})
        except ApiError as error:
            if error.code != 409:
                raise
        self.renew_lease()
        self.tell()
        threading.Thread(target=self.beat, daemon=True).start()

    def beat(self):
        beats = 0
        while True:
            time.sleep(self.options.heartbeat)
            beats += 1
            try:
                self.renew_lease()
                ended = [kind for kind, until in self.pressures.items() if time.time() >= until]
                for kind in ended:
                    self.set_pressure(kind, None)
                if ended or beats % BEATS_PER_STATUS == 0:
                    self.tell()
            except Exception as error:
                log('sign of life:', error)

    def renew_lease(self):
        duration = max(1, round(self.options.heartbeat * 4))
        spec = {'holderIdentity': self.name, 'leaseDurationSeconds': duration, 'renewTime': micros()}
        try:
            self.api('PATCH', f'{LEASES}/{self.name}', {'spec': spec}, MERGE)
        except ApiError as error:
            if error.code != 404:
                raise
            metadata = {'name': self.name, 'namespace': 'kube-node-lease'}
            self.api('POST', LEASES, {'apiVersion': 'coordination.k8s.io/v1', 'kind': 'Lease', 'metadata': metadata,
                                      'spec': spec})

    def press(self, resource, duration):
        """Has too little of something for so many seconds: the scheduler places nothing here meanwhile."""
        self.set_pressure(eviction.node_condition(resource), time.time() + duration)
        self.tell()

    def set_pressure(self, kind, until):
        with self.lock:
            if (kind in self.pressures) != (until is not None):
                self.since[kind] = seconds()
            if until is None:
                del self.pressures[kind]
            else:
                self.pressures[kind] = until

    def tell(self):
        with self.lock:
            conditions = [self.condition('Ready', True, 'KubeletReady')]
            conditions += [self.condition(kind, kind in self.pressures, reasons[kind in self.pressures])
                           for kind, reasons in CONDITIONS.items()]
        self.api('PATCH', f'/api/v1/nodes/{self.name}/status', {'status': {**self.status, 'conditions': conditions}},
                 STRATEGIC_MERGE)

    def condition(self, kind, holds, reason):
        return {'type': kind, 'status': 'True' if holds else 'False', 'reason': reason, 'message': reason,
                'lastHeartbeatTime': seconds(), 'lastTransitionTime': self.since[kind]}


def taint(text):
    assignment, effect = text.rsplit(':', 1)
    key, _, value = assignment.partition('=')
    return {'key': key, 'value': value, 'effect': effect}
