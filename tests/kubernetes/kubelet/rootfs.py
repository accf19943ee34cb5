"""Turns a container into a command: a shell script that puts its root directory together and becomes its process.

The root is empty but for the machine's system directories, each under an overlay of its own, so that a container sees no
files of the machine that an image would not have, and what it writes is gone with it.
"""
import os
from shlex import quote

SYSTEM = ('usr', 'etc')
LINKS = ('bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32')
EMPTY = ('dev', 'home', 'mnt', 'opt', 'proc', 'root', 'run', 'srv', 'sys', 'tmp', 'var/lib', 'var/log', 'var/tmp')
NAMES = '/run/lab'


def isolated(pod, container, argv, env, mounts, workdir, security, image, cgroups):
    """The command; `mounts` are (source, where, read only)."""
    top = os.path.join(pod.directory, f'{container.name}.rootfs')
    os.makedirs(top, exist_ok=True)
    root = f'{top}/root'
    lines = ['set -e', 'mount --make-rprivate /']
    lines += [f'echo 0 > {quote(directory)}/cgroup.procs' for directory in cgroups.values()]
    lines += [f'mount -t tmpfs -o mode=755 tmpfs {quote(top)}', f'mkdir {quote(root)}',
              f'mount --bind {quote(root)} {quote(root)}', f'cd {quote(root)}']
    lines.append('mkdir -p ' + ' '.join(EMPTY) + f' .{NAMES} && chmod 1777 tmp var/tmp && ln -s ../run var/run')
    overlays = list(SYSTEM)
    for name in LINKS:
        if os.path.islink(f'/{name}'):
            lines.append(f'ln -s {quote(os.readlink("/" + name))} {name}')
        elif os.path.isdir(f'/{name}'):
            overlays.append(name)
    for name in overlays:
        lines.append(f'mkdir {name} ../{name}.upper ../{name}.work && mount -t overlay overlay '
                     f'-o lowerdir=/{name},upperdir={top}/{name}.upper,workdir={top}/{name}.work {name}')
    lines += ['mount -t proc proc proc', 'mount --rbind /dev dev', 'mount --rbind /sys sys']
    lines += [f'mount --bind {quote(directory)} {quote("." + seen)}' for seen, directory in cgroups.items()]
    lines.append(f'hostname {quote(pod.hostname)} 2> /dev/null || true')
    # The file of names is replaced while the container runs, so it is reached through its directory; nobody else is asked.
    lines += [f'mount --bind {quote(pod.names)} .{NAMES}', f'ln -sf {NAMES}/hosts etc/hosts',
              'sed -i "s/^hosts:.*/hosts: files/" etc/nsswitch.conf', ': > etc/resolv.conf']
    for source, where, read_only in sorted(mounts, key=lambda mount: len(mount[1])):
        lines += mount_lines(source, where, read_only)
    lines.append(f'mkdir -p {quote("." + workdir)}')
    if security.get('readOnlyRootFilesystem'):
        lines += [f'mount -o remount,ro {name}' for name in overlays] + ['mount -o remount,bind,ro .']
    variables = [f'{name}={value}' for name, value in env.items()]
    final = ['chroot', root] + privileges(security, image) + ['/usr/bin/env', '-i', '-C', workdir] + variables + argv
    lines.append('exec ' + ' '.join(quote(word) for word in final))
    script = os.path.join(pod.directory, f'{container.name}.sh')
    with open(script, 'w', errors='surrogateescape') as out:
        out.write('\n'.join(lines) + '\n')
    os.chmod(script, 0o600)
    return ['/bin/sh', script]


def mount_lines(source, where, read_only):
    """`where` is followed within the new root only: a link there must not lead out of it."""
    lines = [f'where=$(chroot . /usr/bin/readlink -m {quote(where)})']
    if os.path.isdir(source):
        lines.append('mkdir -p ".$where"')
    else:
        lines.append('mkdir -p "$(dirname ".$where")"; [ -e ".$where" ] || : > ".$where"')
    lines.append(f'mount --bind {quote(source)} ".$where"')
    if read_only:
        lines.append('mount -o remount,bind,ro ".$where"')
    return lines


def user_of(security, image):
    return security.get('runAsUser', image.get('user'))


def privileges(security, image):
    """Words of a command line that gives up what the container is not to have."""
    words, user = [], user_of(security, image)
    if user:
        group = security.get('runAsGroup', user)
        words += ['--pdeathsig=SIGKILL', f'--reuid={user}', f'--regid={group}']
        groups = [security.get('fsGroup')] + security.get('supplementalGroups', [])
        groups = [str(group) for group in groups if group is not None]
        words.append('--groups=' + ','.join(groups) if groups else '--clear-groups')
    if security.get('allowPrivilegeEscalation') is False:
        words.append('--no-new-privs')
    if 'ALL' in security.get('capabilities', {}).get('drop', []):
        words += ['--bounding-set=-all', '--inh-caps=-all']
    return ['/usr/bin/setpriv', *words] if words else []


def bare(container, argv, env, mounts, workdir):
    """Without mounts, the places where they would be are replaced by where they are, wherever they are named."""
    def in_place(text):
        for source, where, _ in sorted(mounts, key=lambda mount: -len(mount[1])):
            text = text.replace(where, source)
        return text
    container.in_place = in_place
    # What a container finds by its name alone may be a file of its image.
    argv[:1] = [where for _, where, _ in mounts if os.path.basename(where) == argv[0]][:1] or argv[:1]
    directory = in_place(workdir)
    env = {name: in_place(value) for name, value in env.items()}
    return [in_place(word) for word in argv], env, directory if os.path.isdir(directory) else '/'
