"""Images: entries of a file, by reference or pattern, and what goes wrong when they are pulled.

Pulls fail as with a registry: ErrImagePull, then ImagePullBackOff until the next try.
"""
import fnmatch
import json
import re

BACKOFF_MAX = 30
REFERENCE = re.compile(r'[a-z0-9]+([._/:@-]+[a-zA-Z0-9_]+)*')


class PullError(Exception):
    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


class Images:
    def __init__(self, path):
        with open(path) as file:
            self.images = json.load(file)

    def find(self, reference):
        bare = re.sub(r'(:[^/:]+)?(@.*)?$', '', reference)
        if reference in self.images:
            return self.images[reference]
        for pattern, image in self.images.items():
            if fnmatch.fnmatchcase(reference, pattern) or bare == pattern:
                return image
        return None

    def pull(self, container, pod):
        """The image of a container, which is there at once or never."""
        reference, policy = container['image'], container.get('imagePullPolicy', 'IfNotPresent')
        if not REFERENCE.fullmatch(reference):
            message = f'Failed to apply default image tag "{reference}": couldn\'t parse image name: invalid reference format'
            raise PullError('InvalidImageName', message)
        image = self.find(reference)
        trouble = image.get('pull') if image else 'missing'
        if trouble and policy == 'Never':
            raise PullError('ErrImageNeverPull', f'Container image "{reference}" is not present with pull policy of Never')
        failed = f'failed to pull and unpack image "{reference}": '
        if trouble == 'missing':
            raise PullError('ErrImagePull', failed + f'failed to resolve reference "{reference}": {reference}: not found')
        if trouble == 'unreachable':
            message = failed + f'failed to do request: dial tcp: lookup {reference.split("/")[0]}: no such host'
            raise PullError('ErrImagePull', message)
        if trouble == 'private' and not pod.pull_secrets():
            message = failed + 'pull access denied, repository does not exist or may require authorization'
            raise PullError('ErrImagePull', message)
        return image


def pull_failed(container, error, now):
    """What the status of a container says; every second failure is a time of waiting for the next try."""
    container.pull_failures += 1
    if error.reason != 'ErrImagePull':
        container.retry_at = now + 5
        return {'waiting': {'reason': error.reason, 'message': str(error)}}
    if container.pull_failures % 2:
        container.retry_at = now + 1
        return {'waiting': {'reason': 'ErrImagePull', 'message': str(error)}}
    container.retry_at = now + min(2 ** container.pull_failures, BACKOFF_MAX)
    message = f'Back-off pulling image "{container.spec["image"]}": ErrImagePull: {error}'
    return {'waiting': {'reason': 'ImagePullBackOff', 'message': message}}
