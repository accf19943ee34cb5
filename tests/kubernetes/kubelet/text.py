"""Times, quantities and references as Kubernetes writes them."""
import datetime
import re
import sys
import time

SUFFIXES = {
    None: 1, 'm': 1e-3, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12, 'P': 1e15,
    'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30, 'Ti': 2**40, 'Pi': 2**50,
}


def log(*words):
    print(time.strftime('%H:%M:%S'), *words, file=sys.stdout, flush=True)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def seconds(moment=None):
    """A moment to the second, as most of the API has it."""
    return (moment or now()).strftime('%Y-%m-%dT%H:%M:%SZ')


def micros(moment=None):
    """A moment to the microsecond, as leases have it."""
    return (moment or now()).strftime('%Y-%m-%dT%H:%M:%S.%fZ')


def moment(text):
    return datetime.datetime.strptime(text[:19], '%Y-%m-%dT%H:%M:%S').replace(tzinfo=datetime.timezone.utc)


def quantity(text):
    match = re.fullmatch(r'([0-9.]+(?:[eE][0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?', str(text))
    if not match:
        raise ValueError(f'not a quantity: {text!r}')
    return float(match.group(1)) * SUFFIXES[match.group(2)]


def expand(text, env):
    """Replaces $(VARIABLE); $$ is a dollar, and what is not known stays as it is."""
    def value(match):
        return '$' if match.group(0) == '$$' else env.get(match.group(1), match.group(0))
    return re.sub(r'\$\$|\$\(([-._a-zA-Z0-9]+)\)', value, text)


def pairs(texts):
    """key=value, several times."""
    return dict(text.split('=', 1) for text in texts)
