"""Limits of containers by control groups, of version 1 or 2, whichever this machine has."""
import os
import re
import signal
import time

from text import log, quantity

BASE = '/sys/fs/cgroup'
CPU_PERIOD_US = 100_000


class Cgroups:
    def __init__(self, node):
        """A group for this node, which names this process: what another has left whose process is gone is removed."""
        self.groups = {}
        sweep()
        name = f'flott-lab-{os.getpid()}-{node}'
        try:
            if os.path.exists(f'{BASE}/cgroup.controllers'):
                self.version2(name)
            else:
                for controller in ('memory', 'cpu'):
                    if os.path.isdir(f'{BASE}/{controller}'):
                        os.makedirs(f'{BASE}/{controller}/{name}', exist_ok=True)
                        self.groups[controller] = f'{BASE}/{controller}/{name}'
        except OSError as error:
            log('no control groups:', error)

    def version2(self, name):
        group = f'{BASE}/{name}'
        os.makedirs(group, exist_ok=True)
        for where in (BASE, group):
            write(where, 'cgroup.subtree_control', '+memory +cpu')
        self.groups['unified'] = group

    @property
    def limit_memory(self):
        return 'memory' in self.groups or 'unified' in self.groups

    def add(self, container, limits):
        """Makes the groups of a container; gives their directories by where a container sees them."""
        directories = {}
        for controller, group in self.groups.items():
            directory = os.path.join(group, container)
            os.makedirs(directory, exist_ok=True)
            memory, cpu = limits.get('memory'), limits.get('cpu')
            quota = max(1000, int(quantity(cpu) * CPU_PERIOD_US)) if cpu else None
            if memory and controller == 'memory':
                write(directory, 'memory.limit_in_bytes', int(quantity(memory)))
            if quota and controller == 'cpu':
                write(directory, 'cpu.cfs_quota_us', quota)
            if controller == 'unified':
                if memory:
                    write(directory, 'memory.max', int(quantity(memory)))
                    write(directory, 'memory.swap.max', 0, required=False)
                    write(directory, 'memory.oom.group', 1, required=False)
                if quota:
                    write(directory, 'cpu.max', f'{quota} {CPU_PERIOD_US}')
            directories[BASE if controller == 'unified' else f'{BASE}/{controller}'] = directory
        return directories

    def oom_kills(self, container):
        for controller, file in (('memory', 'memory.oom_control'), ('unified', 'memory.events')):
            if controller in self.groups:
                try:
                    with open(os.path.join(self.groups[controller], container, file)) as lines:
                        return next((int(line.split()[1]) for line in lines if line.startswith('oom_kill ')), 0)
                except OSError:
                    pass
        return 0

    def remove(self, container):
        for group in self.groups.values():
            remove(os.path.join(group, container))

    def remove_all(self):
        for group in self.groups.values():
            remove_tree(group)


def write(directory, file, value, required=True):
    try:
        with open(os.path.join(directory, file), 'w') as out:
            out.write(str(value))
    except OSError as error:
        if required:
            raise OSError(error.errno, f'{directory}/{file}: {error.strerror}') from error


def remove(directory):
    """One that has no process in it any more; the kernel may take a moment to see that."""
    for _ in range(50):
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
    log('stays:', directory)


def remove_tree(group):
    try:
        children = [os.path.join(group, name) for name in os.listdir(group)]
    except OSError:
        return
    for child in children:
        if os.path.isdir(child):
            remove(child)
    remove(group)


def sweep():
    """Removes the groups of nodes whose process is gone, with what is left in them."""
    for base in (BASE, f'{BASE}/memory', f'{BASE}/cpu'):
        try:
            names = os.listdir(base)
        except OSError:
            continue
        for name in names:
            owner = re.match(r'flott-lab-(\d+)-', name)
            if not owner or os.path.exists(f'/proc/{owner.group(1)}'):
                continue
            group = os.path.join(base, name)
            for directory, _, files in os.walk(group):
                if 'cgroup.procs' in files:
                    with open(os.path.join(directory, 'cgroup.procs')) as procs:
                        for pid in procs.read().split():
                            os.kill(int(pid), signal.SIGKILL)
            remove_tree(group)
