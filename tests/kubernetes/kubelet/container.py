"""A container: what it is to be, what it was and is."""
import time


class Container:
    def __init__(self, spec, kind):
        self.spec, self.kind, self.name = spec, kind, spec['name']  # kind: init, sidecar or main
        self.id, self.process, self.log = '', None, None
        self.state, self.last = {'waiting': {'reason': 'ContainerCreating'}}, None
        self.restarts, self.delay, self.retry_at = 0, 0, 0
        self.ready, self.started = False, False
        self.began, self.kill_at, self.oom_kills_before = 0, None, 0
        self.probes = {}
        self.pull_failures, self.pulled_at = 0, None
        self.in_place = lambda text: text

    @property
    def running(self):
        return 'running' in self.state

    @property
    def terminated(self):
        return self.state.get('terminated')

    @property
    def succeeded(self):
        return bool(self.terminated) and self.terminated['exitCode'] == 0

    @property
    def failed(self):
        return bool(self.terminated) and self.terminated['exitCode'] != 0

    def remember(self):
        """Keeps how it has ended, before another state takes its place."""
        if self.terminated:
            self.last = {'terminated': self.terminated}

    def waits(self, state):
        """It cannot start now, for the first time or again."""
        self.remember()
        self.state = state

    def put_off(self, first, most):
        """Waits before the next start, longer each time; not so for one that has run well for ten minutes."""
        if time.time() - self.began > 600:
            self.delay = 0
        self.delay = min(max(self.delay * 2, first), most)
        self.retry_at = time.time() + self.delay
