"""Names of services, for the hosts files of containers: what the DNS server of a cluster would know.

The endpoint slices that the real controller manager keeps say which addresses a service has: those of ready pods, and of
others where it publishes them too. A name stands for pods, so a service's port has to be that of its pods.
"""
import threading

from text import log

SLICES = '/apis/discovery.k8s.io/v1/endpointslices'
SERVICE = 'kubernetes.io/service-name'


class Names:
    def __init__(self, api, changed):
        self.api, self.changed = api, changed
        self.slices = {}

    def start(self):
        threading.Thread(target=lambda: self.api.follow(SLICES, self.tell), daemon=True).start()

    def tell(self, kind, what):
        if kind == 'LIST':
            self.slices = {item['metadata']['uid']: item for item in what}
        elif kind == 'DELETED':
            self.slices = {uid: item for uid, item in self.slices.items() if uid != what['metadata']['uid']}
        else:
            self.slices = {**self.slices, what['metadata']['uid']: what}
        self.changed()

    def hosts(self, namespace):
        """Lines of a hosts file, as seen from a namespace."""
        lines = {'127.0.0.1 kubernetes.default.svc.cluster.local kubernetes.default.svc kubernetes.default kubernetes'}
        for item in self.slices.values():
            service = item['metadata'].get('labels', {}).get(SERVICE)
            if not service or (service, item['metadata']['namespace']) == ('kubernetes', 'default'):
                continue
            for endpoint in item.get('endpoints') or []:
                if endpoint.get('conditions', {}).get('ready', True):
                    names = known_as(service, item['metadata']['namespace'], namespace)
                    if endpoint.get('hostname'):
                        names += [f'{endpoint["hostname"]}.{name}' for name in names]
                    lines.update(f'{address} {" ".join(names)}' for address in endpoint['addresses'])
        return sorted(lines)


def known_as(service, home, namespace):
    names = [f'{service}.{home}.svc.cluster.local', f'{service}.{home}.svc', f'{service}.{home}']
    return names + [service] if home == namespace else names


class NoNames:
    def start(self):
        log('names of services are not known here: no --names-kubeconfig')

    def hosts(self, namespace):
        return []
