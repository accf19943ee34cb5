"""A client of the API server: requests over one connection for each thread, and watches."""
import base64
import http.client
import json
import os
import ssl
import threading
import time
import urllib.parse

from text import log

MERGE = 'application/merge-patch+json'
STRATEGIC_MERGE = 'application/strategic-merge-patch+json'


class ApiError(Exception):
    def __init__(self, code, body):
        super().__init__(f'{code} {body[:300]}')
        self.code = code


class Api:
    def __init__(self, kubeconfig):
        with open(kubeconfig) as file:
            config = json.load(file)
        named = lambda kind, name, field: next(x[field] for x in config[kind] if x['name'] == name)
        context = named('contexts', config['current-context'], 'context')
        cluster, user = named('clusters', context['cluster'], 'cluster'), named('users', context['user'], 'user')
        here = os.path.dirname(os.path.abspath(kubeconfig))
        authority = os.path.join(here, cluster['certificate-authority'])
        with open(authority) as file:
            self.authority = file.read()
        server = urllib.parse.urlparse(cluster['server'])
        self.host, self.port = server.hostname, server.port
        self.tls = ssl.create_default_context(cafile=authority)
        self.tls.load_cert_chain(os.path.join(here, user['client-certificate']), os.path.join(here, user['client-key']))
        self.local = threading.local()

    def connection(self, timeout):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=timeout)

    def __call__(self, method, path, body=None, content_type='application/json'):
        headers = {'Content-Type': content_type, 'Accept': 'application/json'}
        data = json.dumps(body) if body is not None else None
        for is_last in (False, True):  # a kept connection may have been closed meanwhile
            connection = getattr(self.local, 'connection', None) or self.connection(30)
            self.local.connection = connection
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                text = response.read().decode()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self.local.connection = None
                if is_last:
                    raise
        if response.status >= 300:
            raise ApiError(response.status, text)
        return json.loads(text) if text else None

    def watch(self, path):
        connection = self.connection(330)
        try:
            connection.request('GET', path, None, {'Accept': 'application/json'})
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(response.status, response.read().decode())
            for line in response:
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()

    def follow(self, path, tell, pause=0.5):
        """Lists and watches a collection for ever: tell('LIST', items), then tell(type, object) for each change. What
        breaks the watch, an expired version too, begins it anew with a list."""
        joint = '&' if '?' in path else '?'
        while True:
            try:
                listed = self('GET', path)
                tell('LIST', listed['items'])
                version = listed['metadata']['resourceVersion']
                while True:
                    query = f'watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={version}'
                    for event in self.watch(path + joint + query):
                        if event['type'] == 'ERROR':
                            raise RuntimeError(event['object'].get('message'))
                        version = event['object']['metadata']['resourceVersion']
                        if event['type'] != 'BOOKMARK':
                            tell(event['type'], event['object'])
            except Exception as error:
                log('watch:', repr(error)[:200])
                time.sleep(pause)


def decoded(text):
    return base64.b64decode(text)
