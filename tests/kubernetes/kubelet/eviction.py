"""Eviction under pressure, on request: what a node says when it has too little of something, and takes a pod back."""

SIGNALS = {
    'memory': ('MemoryPressure', 'memory.available', '100Mi', '52428Ki', 'memory'),
    'disk': ('DiskPressure', 'nodefs.available', '10Gi', '1048576Ki', 'ephemeral-storage'),
    'pids': ('PIDPressure', 'pid.available', '1638', '120', 'pids'),
}


def told(pod, resource):
    """(reason, message, condition of the pod)"""
    _, _, threshold, available, name = SIGNALS[resource]
    container = pod.mains[0]
    request = container.spec.get('resources', {}).get('requests', {}).get(name, '0')
    message = (f'The node was low on resource: {name}. Threshold quantity: {threshold}, available: {available}. '
               f'Container {container.name} was using more than its request of {request}. ')
    condition = {'type': 'DisruptionTarget', 'status': 'True', 'reason': 'TerminationByKubelet', 'message': message}
    return 'Evicted', message, condition


def node_condition(resource):
    return SIGNALS[resource][0]
