"""What Python's standard library does not have of the kernel: namespaces, and processes that die with their parent."""
import ctypes
import os
import signal
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_UTS, NEW_PIDS, NEW_NET = 0x20000, 0x4000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f'{name}: {os.strerror(error)}')


def spawn(command, isolated, network=None, **options):
    """Starts a process that is killed with the calling *thread*; `isolated`, as process 1 of its own process numbers, so that
    killing it kills all it has started; in the network behind the descriptor `network`."""
    def in_child():
        call('prctl', PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        if network is not None:
            call('setns', network, NEW_NET)
        if isolated:
            call('unshare', NEW_MOUNTS | NEW_UTS)

    if not isolated:
        return subprocess.Popen(command, preexec_fn=in_child, **options)
    with open('/proc/thread-self/ns/pid') as home:
        call('unshare', NEW_PIDS)  # holds for children of this thread
        try:
            return subprocess.Popen(command, preexec_fn=in_child, **options)
        finally:
            call('setns', home.fileno(), NEW_PIDS)
