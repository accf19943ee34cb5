"""Starts and ends containers."""
import os
import shutil
import signal
import subprocess
import time
import uuid

import environment
import images
import rootfs
from kernel import spawn
from text import expand, log, seconds

TERMINATION_LOG = '/dev/termination-log'


def start(pod, container):
    """One step towards a running container; what is in its way is in its state afterwards."""
    kubelet, spec, moment = pod.kubelet, container.spec, time.time()
    try:
        image = kubelet.images.pull(spec, pod)
    except images.PullError as error:
        container.waits(images.pull_failed(container, error, moment))
        kubelet.event(pod, 'Warning', 'Failed', str(error), container)
        return
    if not container.id and image.get('pull_seconds'):
        if container.pulled_at is None:
            container.pulled_at = moment + image['pull_seconds']
            kubelet.event(pod, 'Normal', 'Pulling', f'Pulling image "{spec["image"]}"', container)
        if moment < container.pulled_at:
            return
    try:
        env = environment.variables(pod, container, image)
        security = {**pod.spec.get('securityContext', {}), **spec.get('securityContext', {})}
        if security.get('runAsNonRoot') and not rootfs.user_of(security, image):
            raise RuntimeError('container has runAsNonRoot and image will run as root')
        mounts = mounts_of(pod, container, env) + [(source, where, True) for where, source in image.get('files', {}).items()]
    except Exception as error:
        container.waits({'waiting': {'reason': 'CreateContainerConfigError', 'message': str(error)}})
        container.retry_at = moment + 2
        kubelet.event(pod, 'Warning', 'Failed', f'Error: {error}', container)
        return
    command, arguments = spec.get('command'), spec.get('args')
    words = (command or image.get('entrypoint', [])) + (arguments or ([] if command else image.get('cmd', [])))
    run(pod, container, image, [expand(word, env) for word in words], env, mounts, security)


def mounts_of(pod, container, env):
    """[(source, where, read only)]"""
    volumes = {volume['name']: volume for volume in pod.spec.get('volumes', [])}
    mounts = []
    for mount in container.spec.get('volumeMounts', []):
        source = pod.volumes.directories[mount['name']]
        below = mount.get('subPath') or expand(mount.get('subPathExpr', ''), env)
        if below:
            source = os.path.join(source, below)
            if not os.path.exists(source):
                os.makedirs(source)
        shows_objects = any(kind in volumes[mount['name']] for kind in ('configMap', 'secret', 'downwardAPI', 'projected'))
        mounts.append((source, mount['mountPath'], mount.get('readOnly', False) or shows_objects))
    return mounts


def run(pod, container, image, argv, env, mounts, security):
    kubelet = pod.kubelet
    if container.terminated or container.id:
        container.restarts += 1
    container.remember()
    container.id, container.kill_at, container.probes = uuid.uuid4().hex, None, {}
    container.log = os.path.join(pod.directory, f'{container.name}.{container.restarts}.log')
    container.started = container.ready = False
    container.began, began = time.time(), seconds()
    last_words = termination_log(pod, container)
    with open(last_words, 'w'):
        os.chmod(last_words, 0o666)
    missing = not argv or unknown(argv[0], env, image, mounts)
    if missing:
        message = f'exec: "{argv[0]}": executable file not found in $PATH' if argv else 'no command specified'
        container.state = {'terminated': {
            'exitCode': 128, 'reason': 'StartError', 'message': f'failed to create containerd task: {message}',
            'startedAt': began, 'finishedAt': began, 'containerID': f'process://{container.id}'}}
        container.put_off(kubelet.options.restart_delay, kubelet.options.restart_delay_max)
        kubelet.event(pod, 'Warning', 'Failed', message, container)
        return
    workdir = container.spec.get('workingDir') or image.get('workdir') or '/'
    groups = kubelet.cgroups.add(container.id, container.spec.get('resources', {}).get('limits', {}))
    if kubelet.isolated:
        mounts.append((last_words, container.spec.get('terminationMessagePath', TERMINATION_LOG), False))
        command = rootfs.isolated(pod, container, argv, env, mounts, workdir, security, image, groups)
        process_env, directory = {'PATH': environment.PATH}, '/'
    else:
        command, process_env, directory = rootfs.bare(container, argv, env, mounts, workdir)
    with open(container.log, 'ab') as out:
        container.process = spawn(command, kubelet.isolated, pod.network.network, env=process_env, cwd=directory,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    container.oom_kills_before = kubelet.cgroups.oom_kills(container.id)
    container.state = {'running': {'startedAt': began}}
    kubelet.event(pod, 'Normal', 'Started', f'Container started: {container.name}', container)
    log(f'{pod.key}/{container.name} is process {container.process.pid}: {" ".join(argv)[:120]}')


def unknown(program, env, image, mounts):
    """Whether a container would not find its program."""
    inside = list(image.get('files', {})) + [where for _, where, _ in mounts]
    if program.startswith('/'):
        return not os.path.lexists(program) and not any(program == at or program.startswith(at + '/') for at in inside)
    if '/' in program:
        return False
    return not any(os.path.basename(at) == program for at in inside) and not shutil.which(program, path=env['PATH'])


def termination_log(pod, container):
    return os.path.join(pod.directory, f'{container.name}.last-words')


def end(pod, container, grace):
    """Asks it to end, after its hook, and leaves it so many seconds."""
    container.kill_at, container.ready = time.time() + grace, False
    pod.kubelet.event(pod, 'Normal', 'Killing', f'Stopping container {container.name}', container)
    hook = container.spec.get('lifecycle', {}).get('preStop')
    if not hook or grace <= 0:
        signal_to(pod, container, signal.SIGTERM if grace > 0 else signal.SIGKILL)
        return

    def before():
        try:
            if 'sleep' in hook:
                time.sleep(min(hook['sleep']['seconds'], grace))
            else:
                pod.kubelet.probes.check(pod, container, hook, grace)
        except Exception as error:
            log(f'{pod.key}/{container.name}: preStop:', error)
        pod.kubelet.later(lambda: signal_to(pod, container, signal.SIGTERM))

    pod.kubelet.pool.submit(before)


def signal_to(pod, container, number):
    if not container.process or container.process.poll() is not None:
        return
    try:
        # A process with its own process numbers is followed by all of them; else there is only the group.
        if number == signal.SIGKILL and not pod.kubelet.isolated:
            os.killpg(container.process.pid, number)
        else:
            os.kill(container.process.pid, number)
    except ProcessLookupError:
        pass


def reap(pod, container):
    """Sees whether it has ended."""
    kubelet = pod.kubelet
    if not container.running:
        return
    if container.process.poll() is None:
        # One that runs out of memory goes as a whole, whichever of its processes the kernel has chosen. Control groups of
        # version 2 see to it themselves.
        if out_of_memory(kubelet, container):
            signal_to(pod, container, signal.SIGKILL)
        return
    code = container.process.returncode
    code = 128 - code if code < 0 else code
    reason = 'Completed' if code == 0 else 'Error'
    if code != 0 and out_of_memory(kubelet, container):
        reason = 'OOMKilled'
    ended = {'exitCode': code, 'reason': reason, 'startedAt': container.state['running']['startedAt'],
             'finishedAt': seconds(), 'containerID': f'process://{container.id}'}
    words = last_words(pod, container, code)
    if words:
        ended['message'] = words
    container.state = {'terminated': ended}
    container.ready = container.started = False
    container.kill_at, container.probes = None, {}
    if code or container.restarts or pod.policy == 'Always':
        container.put_off(kubelet.options.restart_delay, kubelet.options.restart_delay_max)
        if not container.restarts:
            container.retry_at = 0  # the first time, at once
    kubelet.cgroups.remove(container.id)
    log(f'{pod.key}/{container.name} has ended: {code} {reason}')


def out_of_memory(kubelet, container):
    return kubelet.cgroups.oom_kills(container.id) > container.oom_kills_before


def last_words(pod, container, code):
    try:
        with open(termination_log(pod, container), errors='replace') as file:
            words = file.read(4096)
    except OSError:
        words = ''
    if not words and code != 0 and container.spec.get('terminationMessagePolicy') == 'FallbackToLogsOnError':
        with open(container.log, 'rb') as file:
            file.seek(max(0, os.path.getsize(container.log) - 2048))
            words = ''.join(file.read().decode(errors='replace').splitlines(True)[-80:])
    return words
