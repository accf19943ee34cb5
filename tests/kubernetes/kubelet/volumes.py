"""Volumes: directories of the machine. Those that show objects of the API are kept up to date, all files at once."""
import json
import os
import shutil
import time

import environment
from api import decoded
from text import log

REFRESH_SECONDS = 10
OBJECTS = ('configMap', 'secret', 'downwardAPI', 'projected')


class Volumes:
    def __init__(self, pod):
        self.pod, self.directories, self.shown, self.tokens = pod, {}, [], {}
        self.group = pod.spec.get('securityContext', {}).get('fsGroup')
        self.refresh_at = time.time() + REFRESH_SECONDS
        for volume in pod.spec.get('volumes', []):
            self.directories[volume['name']] = self.make(volume)

    def make(self, volume):
        directory = os.path.join(self.pod.directory, 'volumes', volume['name'])
        if 'emptyDir' in volume:
            self.make_writable(directory)
        elif 'hostPath' in volume:
            directory, kind = volume['hostPath']['path'], volume['hostPath'].get('type')
            if kind == 'DirectoryOrCreate':
                os.makedirs(directory, exist_ok=True)
            if not os.path.exists(directory):
                raise RuntimeError(f'hostPath type check failed: {directory} is not there')
        elif 'persistentVolumeClaim' in volume:
            claim = self.pod.get('persistentvolumeclaims', volume['persistentVolumeClaim']['claimName'])
            source = self.pod.kubelet.api('GET', f'/api/v1/persistentvolumes/{claim["spec"]["volumeName"]}')
            directory = source['spec']['hostPath']['path']
            self.make_writable(directory)
        elif any(kind in volume for kind in OBJECTS):
            files = self.files(volume)
            self.write(directory, files)
            self.shown.append((volume, directory, files))
        else:
            raise RuntimeError(f'volume {volume["name"]}: {sorted(volume)} is not known to this kubelet')
        return directory

    def refresh(self):
        if time.time() < self.refresh_at:
            return
        self.refresh_at = time.time() + REFRESH_SECONDS
        for at, (volume, directory, files) in enumerate(self.shown):
            try:
                now = self.files(volume)
                if now != files:
                    self.write(directory, now)
                    self.shown[at] = (volume, directory, now)
            except Exception as error:
                log(f'{self.pod.key}: volume {volume["name"]}:', error)

    def files(self, volume):
        """{path: (bytes, mode)}"""
        if 'projected' not in volume:
            kind = next(kind for kind in OBJECTS if kind in volume)
            return self.source(kind, volume[kind], volume[kind].get('defaultMode', 0o644))
        files = {}
        for source in volume['projected'].get('sources', []):
            for kind in source:
                files.update(self.source(kind, source[kind], volume['projected'].get('defaultMode', 0o644)))
        return files

    def source(self, kind, source, mode):
        if kind in ('configMap', 'secret'):
            return self.object_files(kind, source, mode)
        if kind == 'downwardAPI':
            return {item['path']: (self.field(item).encode(), item.get('mode', mode)) for item in source.get('items', [])}
        if kind == 'serviceAccountToken':
            return {source['path']: (self.token(source).encode(), mode)}
        raise RuntimeError(f'a projected volume of {kind} is not known to this kubelet')

    def object_files(self, kind, source, mode):
        optional = source.get('optional', False)
        found = self.pod.get(f'{kind.lower()}s', source.get('name') or source.get('secretName'), optional)
        if found is None:
            return {}
        texts = found.get('data') or {}
        data = {key: value.encode() if kind == 'configMap' else decoded(value) for key, value in texts.items()}
        data.update({key: decoded(value) for key, value in (found.get('binaryData') or {}).items()})
        if not source.get('items'):
            return {key: (value, mode) for key, value in data.items()}
        files = {}
        for item in source['items']:
            if item['key'] in data:
                files[item['path']] = (data[item['key']], item.get('mode', mode))
            elif not optional:
                raise RuntimeError(f'references non-existent {kind} key: {item["key"]}')
        return files

    def field(self, item):
        if 'fieldRef' in item:
            return environment.field(self.pod, item['fieldRef']['fieldPath'])
        return environment.resource(self.pod, None, item['resourceFieldRef'])

    def token(self, source):
        """A token of the pod's service account, bound to the pod; another when a fifth of its time is left."""
        key = json.dumps(source, sort_keys=True)
        token, until = self.tokens.get(key, (None, 0))
        if time.time() < until:
            return token
        pod, lifetime = self.pod, source.get('expirationSeconds', 3600)
        account = pod.spec.get('serviceAccountName', 'default')
        answer = pod.kubelet.api('POST', f'/api/v1/namespaces/{pod.namespace}/serviceaccounts/{account}/token', {
            'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest',
            'spec': {
                'audiences': [source['audience']] if source.get('audience') else [], 'expirationSeconds': lifetime,
                'boundObjectRef': {'kind': 'Pod', 'apiVersion': 'v1', 'name': pod.name, 'uid': pod.uid},
            },
        })
        self.tokens[key] = (answer['status']['token'], time.time() + lifetime * 0.8)
        return answer['status']['token']

    def write(self, directory, files):
        """Readers see all files of before, or all of now: names are links through one link, which is replaced."""
        os.makedirs(directory, exist_ok=True)
        current = os.path.join(directory, '..data')
        name = f'..{time.time_ns()}'
        for path, (content, mode) in files.items():
            file = os.path.join(directory, name, path)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, 'wb') as out:
                out.write(content)
            os.chmod(file, mode)
            self.give_to_group(file, mode | 0o440)
        os.makedirs(os.path.join(directory, name), exist_ok=True)
        before = os.readlink(current) if os.path.lexists(current) else None
        os.symlink(name, current + '.new')
        os.rename(current + '.new', current)
        tops = {path.split('/')[0] for path in files}
        for top in tops:
            if not os.path.lexists(os.path.join(directory, top)):
                os.symlink(f'..data/{top}', os.path.join(directory, top))
        for entry in os.listdir(directory):
            if not entry.startswith('..') and entry not in tops:
                os.unlink(os.path.join(directory, entry))
        if before:
            shutil.rmtree(os.path.join(directory, before), ignore_errors=True)

    def make_writable(self, directory):
        """For every user, as those that bring storage do it."""
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)
        self.give_to_group(directory, 0o2777)

    def give_to_group(self, path, mode):
        if self.group is not None and os.geteuid() == 0:
            os.chown(path, -1, self.group)
            os.chmod(path, mode)
