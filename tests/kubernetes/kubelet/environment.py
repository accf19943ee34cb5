"""Variables of containers, and fields of pods that they and volumes may name."""
import json
import re

from api import decoded
from text import expand, quantity

PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def variables(pod, container, image):
    api = pod.kubelet.api
    port = str(api.port)
    env = {'PATH': PATH, 'HOSTNAME': pod.hostname, 'HOME': '/'}
    env.update(image.get('env', {}))
    env.update({
        'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': port,
        'KUBERNETES_SERVICE_PORT_HTTPS': port, 'KUBERNETES_PORT': f'tcp://127.0.0.1:{port}',
    })
    for source in container.spec.get('envFrom', []):
        kind = 'configMap' if 'configMapRef' in source else 'secret'
        reference = source[f'{kind}Ref']
        for key, value in (data(pod, kind, reference['name'], reference.get('optional', False)) or {}).items():
            env[source.get('prefix', '') + key] = value
    for variable in container.spec.get('env', []):
        value = variable_value(pod, container, variable, env)
        if value is not None:
            env[variable['name']] = value
    return env


def variable_value(pod, container, variable, env):
    source = variable.get('valueFrom')
    if source is None:
        return expand(variable.get('value', ''), env)
    if 'fieldRef' in source:
        return field(pod, source['fieldRef']['fieldPath'])
    if 'resourceFieldRef' in source:
        return resource(pod, container, source['resourceFieldRef'])
    kind = 'configMap' if 'configMapKeyRef' in source else 'secret'
    reference = source[f'{kind}KeyRef']
    optional = reference.get('optional', False)
    found = data(pod, kind, reference['name'], optional) or {}
    if reference['key'] not in found and not optional:
        raise RuntimeError(f"couldn't find key {reference['key']} in {kind} {pod.namespace}/{reference['name']}")
    return found.get(reference['key'])


def data(pod, kind, name, optional):
    found = pod.get(f'{kind.lower()}s', name, optional)
    if found is None:
        return None
    values = found.get('data') or {}
    if kind == 'configMap':
        return values
    return {key: decoded(value).decode(errors='surrogateescape') for key, value in values.items()}


def field(pod, path):
    metadata = pod.object['metadata']
    one = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if one:
        return metadata.get(one.group(1), {}).get(one.group(2), '')
    if path in ('metadata.labels', 'metadata.annotations'):
        return ''.join(f'{key}={json.dumps(value)}\n' for key, value in sorted(metadata.get(path[9:], {}).items()))
    account = pod.spec.get('serviceAccountName', 'default')
    known = {
        'metadata.name': pod.name, 'metadata.namespace': pod.namespace, 'metadata.uid': pod.uid,
        'spec.nodeName': pod.kubelet.node.name, 'spec.serviceAccountName': account,
        'status.podIP': pod.address, 'status.podIPs': pod.address,
        'status.hostIP': '127.0.0.1', 'status.hostIPs': '127.0.0.1',
    }
    if path not in known:
        raise RuntimeError(f'field {path} is not known')
    return known[path]


def resource(pod, container, reference):
    if reference.get('containerName'):
        container = next(c for c in pod.all if c.name == reference['containerName'])
    which, name = reference['resource'].split('.', 1)
    value = container.spec.get('resources', {}).get(which, {}).get(name)
    if value is None:  # without a limit, all that the node has
        value = pod.kubelet.node.capacity.get(name, '0') if which == 'limits' else '0'
    divisor = reference.get('divisor')
    units = quantity(value) / quantity(divisor if divisor not in (None, '0') else '1')
    return str(int(-(-units // 1)))
