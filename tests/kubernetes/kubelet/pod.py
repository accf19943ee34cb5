"""A pod: a state machine that is turned by every event and twenty times a second.

Its containers are started, ended and started again here, always from the thread of the main loop: children are killed with
the thread that has started them.
"""
import os
import shutil
import signal
import time

import eviction
import launch
import status
from api import ApiError
from container import Container
from text import log, moment, now, seconds
from volumes import Volumes


class Pod:
    def __init__(self, kubelet, object):
        self.kubelet, self.object = kubelet, object
        metadata = object['metadata']
        self.uid, self.namespace, self.name = metadata['uid'], metadata['namespace'], metadata['name']
        self.key = f'{self.namespace}/{self.name}'
        self.directory = os.path.join(kubelet.root, 'pods', self.uid)
        self.names = os.path.join(self.directory, 'names')
        kind = lambda spec: 'sidecar' if spec.get('restartPolicy') == 'Always' else 'init'
        self.inits = [Container(spec, kind(spec)) for spec in self.spec.get('initContainers', [])]
        self.mains = [Container(spec, 'main') for spec in self.spec['containers']]
        self.phase, self.reason, self.message = 'Pending', None, None
        self.start_time, self.network, self.volumes = None, None, None
        self.failing = None   # (reason, message, condition) once the node itself has given it up
        self.deleting = False
        self.gone = False     # the API server does not have it any more
        self.wanted, self.published, self.publish_at = None, None, 0
        self.next_try = 0
        self.recover()

    def recover(self):
        """After a restart of this kubelet: what the API server calls running is gone."""
        known = self.object.get('status', {})
        if known.get('startTime'):
            self.start_time = moment(known['startTime'])
        for containers, field in ((self.inits, 'initContainerStatuses'), (self.mains, 'containerStatuses')):
            by_name = {container['name']: container for container in known.get(field, [])}
            for container in containers:
                if container.name in by_name:
                    status.recover(container, by_name[container.name])

    @property
    def spec(self):
        return self.object['spec']

    @property
    def all(self):
        return self.inits + self.mains

    @property
    def policy(self):
        return self.spec.get('restartPolicy', 'Always')

    @property
    def grace(self):
        return self.spec.get('terminationGracePeriodSeconds', 30)

    @property
    def hostname(self):
        return self.spec.get('hostname') or self.name

    @property
    def address(self):
        return self.network.address if self.network else None

    @property
    def over(self):
        return self.phase in ('Succeeded', 'Failed')

    def get(self, kind, name, optional=False):
        """An object of the pod's namespace."""
        try:
            return self.kubelet.api('GET', f'/api/v1/namespaces/{self.namespace}/{kind}/{name}')
        except ApiError as error:
            if error.code == 404 and optional:
                return None
            raise RuntimeError(f'{kind[:-1]} "{name}" not found' if error.code == 404 else str(error)) from error

    def pull_secrets(self):
        """Those of its pull secrets that are there."""
        found = (self.get('secrets', secret['name'], True) for secret in self.spec.get('imagePullSecrets', []))
        return [secret for secret in found if secret and secret.get('type') == 'kubernetes.io/dockerconfigjson']

    # ---- what happens to it ----

    def changed(self, object):
        self.object = object
        metadata = object['metadata']
        if not metadata.get('deletionTimestamp'):
            return
        grace = metadata.get('deletionGracePeriodSeconds', 30)
        if not self.deleting:
            self.deleting = True
            self.end_all(grace)
        elif grace == 0:
            self.gone = True
        for container in self.all:  # deleted again, with less time
            if container.running and container.kill_at:
                container.kill_at = min(container.kill_at, time.time() + grace)

    def fail(self, reason, message, grace, condition=None):
        """The node gives it up."""
        if self.over or self.failing or self.deleting:
            return False
        self.failing = (reason, message, condition)
        self.end_all(grace)
        return True

    def end_all(self, grace):
        for container in self.all:
            if container.running:
                launch.end(self, container, grace)

    # ---- the state machine ----

    def turn(self):
        moment = time.time()
        for container in self.all:
            launch.reap(self, container)
            if container.running and container.kill_at and moment >= container.kill_at:
                launch.signal_to(self, container, signal.SIGKILL)
        if self.gone:
            self.turn_gone()
        elif moment >= self.next_try:
            self.turn_deleting() if self.deleting else self.turn_living(moment)

    def turn_gone(self):
        for container in self.all:
            if container.running:
                launch.signal_to(self, container, signal.SIGKILL)
        if not any(container.running for container in self.all):
            self.forget()

    def turn_deleting(self):
        status.update(self)
        if any(container.running for container in self.all):
            return
        try:
            self.kubelet.api('DELETE', f'/api/v1/namespaces/{self.namespace}/pods/{self.name}',
                             {'gracePeriodSeconds': 0, 'preconditions': {'uid': self.uid}})
        except ApiError as error:
            if error.code not in (404, 409):
                log(f'{self.key}: delete:', error)
                return
        self.forget()

    def turn_living(self, moment):
        if self.over or self.failing:
            status.update(self)
            return
        if not self.prepare(moment):
            status.update(self)
            return
        deadline = self.spec.get('activeDeadlineSeconds')
        if deadline and (now() - self.start_time).total_seconds() > deadline:
            self.fail('DeadlineExceeded', 'Pod was active on the node longer than the specified deadline', self.grace)
            return
        self.volumes.refresh()
        if all(self.stays_ended(container) for container in self.mains):
            for container in self.inits:  # sidecars have nobody left to be beside
                if container.running and container.kill_at is None:
                    launch.end(self, container, self.grace)
        elif self.turn_inits(moment):
            self.turn_mains(moment)
        for container in self.all:
            if container.running:
                self.kubelet.probes.turn(self, container, moment)
        status.update(self)

    def prepare(self, moment):
        """What containers need before the first of them starts."""
        self.start_time = self.start_time or now()
        if self.volumes:
            return True
        try:
            os.makedirs(self.names, exist_ok=True)
            self.network = self.network or self.kubelet.network_of(self)
            self.write_names()
            self.volumes = Volumes(self)
            return True
        except Exception as error:
            what = 'FailedMount' if self.network else 'FailedCreatePodSandBox'
            self.kubelet.event(self, 'Warning', what, str(error))
            log(f'{self.key}: {what}: {error}')
            self.next_try = moment + 2
            return False

    def turn_inits(self, moment):
        """Starts those that are next; whether they let the others go on."""
        for container in self.inits:
            if container.kind == 'sidecar':
                if not container.running and moment >= container.retry_at:
                    launch.start(self, container)
                if not container.started:
                    return False
            elif not container.succeeded:
                gives_up = container.failed and self.policy == 'Never'
                if not container.running and not gives_up and moment >= container.retry_at:
                    launch.start(self, container)
                return False
        return True

    def turn_mains(self, moment):
        for container in self.mains:
            if not container.running and not self.stays_ended(container) and moment >= container.retry_at:
                launch.start(self, container)

    def stays_ended(self, container):
        return bool(container.terminated) and (
            self.policy == 'Never' or self.policy == 'OnFailure' and container.succeeded)

    def write_names(self):
        aliases = [f'{alias["ip"]} {" ".join(alias["hostnames"])}' for alias in self.spec.get('hostAliases', [])]
        lines = ['127.0.0.1 localhost', f'{self.address} {self.hostname}', *aliases]
        lines += self.kubelet.names.hosts(self.namespace)
        file = os.path.join(self.names, 'hosts')
        with open(file + '.new', 'w') as out:
            out.write('\n'.join(lines) + '\n')
        os.rename(file + '.new', file)

    def forget(self):
        self.kubelet.pods.pop(self.uid, None)
        self.close()
        log(f'{self.key} is gone')
        self.kubelet.pool.submit(shutil.rmtree, self.directory, True)

    def close(self):
        if self.network:
            self.network.close()
            self.network = None

    def evict(self, resource, grace):
        reason, message, condition = eviction.told(self, resource)
        if not self.fail(reason, message, grace, condition):
            return False
        self.kubelet.event(self, 'Warning', 'Evicted', message)
        return True

    @property
    def started_at(self):
        return seconds(self.start_time) if self.start_time else None
