"""What the API server is told of a pod."""
import time

from api import MERGE, ApiError
from text import log, seconds


def update(pod):
    for container in pod.all:
        if container.running and not container.started and not container.spec.get('startupProbe'):
            container.started = True
        if container.running and container.started and not container.spec.get('readinessProbe') and not container.kill_at:
            container.ready = True
    initialized = all(
        container.succeeded if container.kind == 'init' else
        container.started or (container.terminated and pod.phase != 'Pending') for container in pod.inits)
    if not pod.over:
        pod.phase = phase(pod, initialized)
    pod.wanted = whole(pod, initialized)
    publish(pod)


def phase(pod, initialized):
    runs = any(container.running for container in pod.all)
    if pod.failing:
        if not runs:
            pod.reason, pod.message, _ = pod.failing
            return 'Failed'
        return pod.phase
    if pod.policy == 'Never' and any(container.kind == 'init' and container.failed for container in pod.inits):
        return 'Failed'
    sidecars_run = any(container.running for container in pod.inits)
    if all(container.terminated for container in pod.mains) and not sidecars_run:
        failed = any(container.failed for container in pod.mains)
        if pod.policy == 'Never' or pod.deleting or (pod.policy == 'OnFailure' and not failed):
            return 'Failed' if failed else 'Succeeded'
    if initialized and any(container.running or container.terminated for container in pod.mains):
        return 'Running'
    return 'Pending'


def whole(pod, initialized):
    serving = pod.mains + [container for container in pod.inits if container.kind == 'sidecar']
    ready = pod.phase == 'Running' and not pod.failing and all(container.ready for container in serving)
    told = {
        'phase': pod.phase, 'conditions': conditions(pod, initialized, ready),
        'hostIP': '127.0.0.1', 'hostIPs': [{'ip': '127.0.0.1'}], 'startTime': pod.started_at,
        'containerStatuses': [of_container(pod, container) for container in pod.mains],
    }
    if pod.object['metadata'].get('generation'):
        told['observedGeneration'] = pod.object['metadata']['generation']
    if pod.inits:
        told['initContainerStatuses'] = [of_container(pod, container) for container in pod.inits]
    if pod.address and pod.volumes:
        told.update(podIP=pod.address, podIPs=[{'ip': pod.address}])
    if pod.reason:
        told.update(reason=pod.reason, message=pod.message)
    return told


def conditions(pod, initialized, ready):
    known = pod.object.get('status', {}).get('conditions', [])
    before = (pod.published or pod.object.get('status', {})).get('conditions', [])

    def condition(kind, holds, reason=None, **more):
        state = 'True' if holds else 'False'
        old = next((other for other in before if other['type'] == kind and other['status'] == state), None)
        told = {'type': kind, 'status': state, 'lastProbeTime': None,
                'lastTransitionTime': old['lastTransitionTime'] if old else seconds(), **more}
        if pod.object['metadata'].get('generation'):
            told['observedGeneration'] = pod.object['metadata']['generation']
        if reason and not holds:
            told['reason'] = reason
        return told

    done = pod.phase == 'Succeeded'
    why_not = {'Succeeded': 'PodCompleted', 'Failed': 'PodFailed'}.get(pod.phase, 'ContainersNotReady')
    gates = {gate['conditionType'] for gate in pod.spec.get('readinessGates', [])}
    gates -= {other['type'] for other in known if other['status'] == 'True'}
    mine = [
        condition('PodReadyToStartContainers', pod.volumes is not None and not pod.over),
        condition('Initialized', initialized or done, 'ContainersNotInitialized'),
        condition('Ready', ready and not gates, 'ReadinessGatesNotReady' if ready else why_not),
        condition('ContainersReady', ready, why_not),
    ]
    if pod.failing and pod.failing[2]:
        disruption = pod.failing[2]
        mine.append(condition(disruption['type'], True) | {name: disruption[name] for name in ('reason', 'message')})
    kinds = {told['type'] for told in mine}
    return mine + [other for other in known if other['type'] not in kinds]


def of_container(pod, container):
    state, last, ended = container.state, container.last, container.terminated
    again = ended and not pod.deleting and not pod.failing and not pod.over and (
        container.kind == 'sidecar' or pod.policy == 'Always' or (pod.policy == 'OnFailure' and container.failed))
    if again and container.retry_at > time.time():
        message = (f'back-off {container.delay:.0f}s restarting failed container={container.name} '
                   f'pod={pod.name}_{pod.namespace}({pod.uid})')
        state, last = {'waiting': {'reason': 'CrashLoopBackOff', 'message': message}}, {'terminated': ended}
    image = container.spec['image']
    told = {
        'name': container.name, 'image': image, 'imageID': f'process://{image}' if container.id else '',
        'ready': container.succeeded if container.kind == 'init' else container.ready, 'started': container.started,
        'restartCount': container.restarts, 'state': state, 'lastState': last or {},
    }
    if container.id:
        told['containerID'] = f'process://{container.id}'
    return told


def recover(container, known):
    """Takes up what the API server knows of a container that an earlier kubelet has run."""
    container.restarts = known.get('restartCount', 0)
    state = known.get('state', {})
    if 'terminated' in state:
        container.state = {'terminated': state['terminated']}
    elif 'running' in state:
        container.state = {'terminated': {
            'exitCode': 137, 'reason': 'ContainerStatusUnknown', 'finishedAt': seconds(),
            'message': 'The container could not be located when the pod was terminated',
            'startedAt': state['running']['startedAt'], 'containerID': known.get('containerID', ''),
        }}


def publish(pod):
    if pod.wanted == pod.published or time.time() < pod.publish_at:
        return
    path = f'/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status'
    try:
        pod.kubelet.api('PATCH', path, {'metadata': {'uid': pod.uid}, 'status': pod.wanted}, MERGE)
        pod.published = pod.wanted
    except ApiError as error:
        if error.code == 404 or (error.code == 409 and 'uid' in str(error)):
            pod.gone = True  # or another of its name is there by now
        else:
            log(f'{pod.key}: status:', error)
        pod.publish_at = time.time() + 0.5
    except OSError as error:
        log(f'{pod.key}: status:', error)
        pod.publish_at = time.time() + 0.5
