"""A kubelet that runs the containers of pods as processes of this machine: no container runtime, no root file system but
the machine's own. Python's standard library, util-linux and iproute2 are all it needs.

It registers a Node with the real API server, runs what is bound to it, and reports what a kubelet would. As root, each
container gets its own mounts, process numbers, limits and root directory, and each pod its own network; what the machine
does not let it have is said at the start and noted on the Node (`flott.dev/isolation`).

If it is killed, its containers are killed with it, as in a crash of a machine. Stopped by SIGSTOP, it plays a node that is
cut off.
"""
import argparse

from kubelet import Kubelet


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--node-name', required=True)
    add('--kubeconfig', required=True, help='JSON, of system:node:<node name>')
    add('--names-kubeconfig', help='JSON, of someone who may list services and endpoint slices: resolves their names')
    add('--root', required=True, help='where pods, volumes and logs are kept')
    add('--images', required=True, help='JSON: what images there are, by reference or pattern')
    add('--tls-cert', required=True)
    add('--tls-key', required=True)
    add('--client-ca', required=True, help='who signs the certificates of those who may call')
    add('--isolation', choices=['auto', 'full', 'none'], default='auto')
    add('--network', type=int, metavar='PID', help='the process that holds the network of the pods, with its bridge br0')
    add('--reach', type=int, action='append', default=[], metavar='PORT', help="port of the machine's loopback that pods reach")
    add('--cpu', default='16')
    add('--memory', default='64Gi')
    add('--max-pods', type=int, default=110)
    add('--resource', action='append', default=[], help='extended resource: example.com/gpu=4')
    add('--label', action='append', default=[], help='key=value')
    add('--taint', action='append', default=[], help='key=value:Effect')
    add('--heartbeat', type=float, default=1.0, help='seconds between two signs of life')
    add('--restart-delay', type=float, default=1.0, help='seconds before the first restart of a container; doubles')
    add('--restart-delay-max', type=float, default=30.0)
    add('--stop-grace', type=float, default=2.0, help='seconds that containers have when this is asked to end')
    return parser.parse_args()


if __name__ == '__main__':
    Kubelet(arguments()).run()
