#!/usr/bin/python3
"""Writes the corpora of fuzz_server and fuzz_client: tests/fuzz/seeds.py

An input is what one end says; 0xc1 and a byte is an action of the target. The
examples of arpc.md are seeds too.
"""
import os
import re
import msgpack

TOP = os.path.dirname(os.path.abspath(__file__))
C2S = 'hello add remove set toggle can_add can_remove sync info when_args ' \
    'trace schema ack lease_begin'.split()


def pack(*frames):
    return b''.join(msgpack.packb(f) for f in frames)


def act(what, arg=0):
    return bytes([0xc1, arg << 4 | what])


def req(n, method, *params):
    return pack([0, n, method, list(params)])


def note(method, *params):
    return pack([2, method, list(params)])


def examples():
    """The frames of arpc.md, from the client and from the server."""
    text = open(os.path.join(TOP, '../../proto/arpc.md')).read()
    runs = re.findall(r'(?m)(?:^    [0-9a-f]{2}(?: [0-9a-f]{2})*\n)+', text)
    for run in runs:
        frame = bytes.fromhex(run)
        value = msgpack.unpackb(frame, strict_map_key=False)
        method = value[1] if value[0] == 2 else value[2]
        yield value[0] != 1 and method in C2S, frame


def save(target, name, data):
    path = os.path.join(TOP, 'corpus', target)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), 'wb') as f:
        f.write(data)


TURN = act(0)
READY, WORK, MULTI, LOCKED, BYE, DOWN = 1, 2, 3, 5, 6, 7


def hello(**more):
    return req(65536, 'hello', dict(proto=1, id=7, **more))


def server():
    up = act(8) + TURN
    adds = b''.join(req(n, 'add', [1 + n % 4]) for n in range(1, 300))
    part = req(2, 'add', [WORK], {'n': 7})
    return {
        'hello': hello(name='me') + TURN + req(1, 'add', [READY]),
        'hello-token': hello(token=b'\1' * 16) + TURN,
        'hello-bad-token': hello(token=b'\2' * 16),
        'hello-bad-proto': req(1, 'hello', {'proto': 2, 'id': 7}),
        'hello-sync': hello(sync={'allow': ['Work', 'Auto'], 'shallow': True,
                                  'mutations': True, 'schema': False}) +
        TURN + req(1, 'add', [READY, WORK]),
        'hello-skip': hello(sync={'skip': ['Work']}, hash=1),
        'hello-bad-sync': hello(sync={'allow': ['Nothing']}),
        'hello-twice': up + hello(),
        'no-hello': req(1, 'add', [READY]),
        'large-hello': hello(name='x' * 70000)[:60],
        'split': up + TURN.join(part[i:i + 1] for i in range(len(part))),
        'adds': up + adds,
        'mutations': up + req(1, 'add', [READY]) + req(2, 'set', [READY, WORK])
        + req(3, 'toggle', [MULTI]) + req(4, 'remove', [READY]) +
        req(5, 'can_add', [WORK]) + req(6, 'can_remove', [READY]) +
        req(7, 'add', [LOCKED]) + req(8, 'add', [99]) +
        req(9, 'add', [READY], None, 5000) +
        req(10, 'add', [WORK], {'refuse': True}) +
        req(11, 'add', [MULTI], {'text': 'too long for it'}) +
        note('add', [READY]) + note('set', []),
        'reads': up + req(65537, 'sync') + req(65538, 'info', 'echo', 1, 'a') +
        req(65539, 'info', 'nothing') + req(65540, 'schema') +
        req(65541, 'launch') + note('launch') + note('ack', [1, 2, 3]) +
        pack([1, 3, None, 4]),
        'watch': up + req(65537, 'trace', True) +
        req(65538, 'when_args', READY) + req(65539, 'when_args', WORK,
                                             {'n': 7}) +
        req(1, 'add', [READY]) + part + req(65540, 'trace', False),
        'lease': up + req(65537, 'lease_begin', {
            'lease': 'L1', 'token': b'\1' * 16, 'client': 'c',
            'ttl_ms': 1000, 'max_ms': 2000}),
        'resume': act(8, 1) + req(1, 'add', [READY]) + part + TURN + act(5) +
        act(8, 1) + req(1, 'add', [READY]) + part + req(3, 'add', [MULTI]) +
        TURN + act(7, 1) + req(4, 'add', [MULTI]),
        'take-over': act(8, 1) + part + TURN + act(4, 1) + act(8, 1) + TURN +
        part + req(2000, 'add', [READY]) + part,
        'three': up + act(4, 1) + up + act(4, 2) + up + TURN + act(1, READY) +
        TURN + act(7),
        'payloads': up + act(2) + act(2, 4) + act(2, 1) + TURN + TURN + TURN +
        act(2, 1) + act(9) + TURN + TURN,
        'withdrawn': up + act(2, 1) + TURN + note('ack', [1]) + TURN + TURN,
        'deaf': up + act(3) + act(2, 1) + TURN + act(2, 1) + TURN + TURN +
        act(1, READY) + adds + TURN + act(1, READY | 8) + TURN + act(3),
        'bye': up + note('bye', 'done') + req(1, 'add', [READY]),
        'told-bye': up + req(1, 'add', [BYE]) + req(2, 'add', [READY]),
        'down': up + req(1, 'add', [DOWN]) + req(2, 'add', [READY]),
        'shutdown': up + part + act(6) + TURN,
        'closed': up + req(1, 'info', 'bye') + part,
        'deep': up + req(1, 'add', [READY]) + b'\x91' * 40,
        'bad': up + b'\xc0' + part,
        'reserved': up + act(15) + part,
        'huge': up + b'\xdd\xff\xff\xff\xff',
        'unlisten': up + act(7, 2) + act(4, 1) + TURN,
        'examples': up + b''.join(f for c2s, f in examples() if c2s),
    }


def res(n, result, error=None):
    return pack([1, n, error, result])


def client():
    """The first byte: 1 resume, 2 mutations, 4 and 8 welcomed."""
    up = b'\x0c' + TURN
    fresh = {
        'proto': 1, 'id': 'w1', 'epoch': 99, 'states': 3, 'hash': 1234,
        'schema': [['Exception', 2, [], [], [], []],
                   ['Start', 0, [], [], [], []],
                   ['Ready', 1, [1], [], [], []]],
        'time': [0, 1, 1], 'q': 7, 'm': 0, 'seq': 0}
    hello_id = 65537
    calls = b''.join(act(1, n) for n in range(16))
    asks = b''.join(act(2, n) for n in range(10))
    subs = b''.join(act(3, n) for n in range(16))
    payload = note('p', 12, 7, 0, 'result', 'w1', {'square': 9})
    large = note('p', 14, 9, 0, 'result', 'w1', None, 10) + \
        note('part', 14, b'\xc4\x08ab') + TURN + \
        note('part', 14, b'cdefgh')
    return {
        'welcome': b'\0' + res(hello_id, fresh) + TURN + subs +
        note('t', [1, 11, 2, 1]) + TURN,
        'welcome-resume': b'\1' + res(hello_id, dict(fresh, resumed=True)),
        'welcome-bad': b'\0' + res(hello_id, dict(fresh, time=[1])),
        'welcome-short': b'\0' + res(hello_id, dict(fresh, schema=[])),
        'refused': b'\0' + res(hello_id, None, 'bad_token: no such lease') +
        note('bye', 'bad_token: no such lease'),
        'before': b'\0' + note('t', [1, 2]) + res(3, 1),
        'calls': up + calls + TURN + act(10, 5) + TURN + act(1) + TURN +
        act(10) + TURN,
        'kept': b'\x0d' + TURN + calls + TURN + act(11) + TURN + calls +
        act(4) + TURN + TURN + act(8, 2) + TURN + act(10) + TURN,
        'kept-lost': b'\x0d' + TURN + calls + TURN + act(11) + TURN + act(4) +
        TURN + TURN + act(8, 1) + TURN,
        'give-up': b'\x0d' + TURN + calls + act(11) + TURN + act(6),
        'asks': up + asks + TURN + act(10) + TURN + res(65539, [1, 2]) +
        res(65540, None, 'no_topic: none'),
        'answers': up + act(1) + act(1) + TURN + res(1, [0, [1, 9]]) +
        res(2, [1, [1, 8], 'Working requires Start']) + res(9, None),
        'subs': up + subs + act(9, 5) + TURN + act(9, 6) + TURN,
        'sync': up + act(9, 5) + TURN + note('t', [1, 0, 1, 1]) + TURN +
        act(10, 4) + TURN + act(9, 9),
        'sync-refused': up + note('t', [1, 0, 1, 1]) + TURN +
        res(65538, None, 'busy: later'),
        'mutations': b'\x0e' + TURN + note('m', [1, 11, 2, 1], 0, [2], 1) +
        TURN,
        'payloads': up + payload + large + TURN + note('part', 3, b'x'),
        'withdrawn': up + note('p', 14, 9, 0, 'result', 'w1', None, 10) +
        note('part', 14, None) + payload + TURN,
        'bye': up + act(1) + TURN + note('bye', 'released') + payload + TURN,
        'request': up + req(1, 'add', [1]) + TURN,
        'close': up + act(1) + act(5) + TURN + act(4) + TURN + TURN +
        act(8) + TURN,
        'free': up + act(1) + act(7) + TURN + act(10) + TURN,
        'free-sub': up + subs + act(7) + act(9, 5) + TURN,
        'free-lost': b'\x0d' + calls + act(7) + act(11) + TURN,
        'reserved': up + act(15) + TURN,
        'deep': up + b'\x91' * 40,
        'examples': up + b''.join(f for c2s, f in examples() if not c2s),
    }


def main():
    for target in server, client:
        for name, data in target().items():
            save(target.__name__, name, data)


if __name__ == '__main__':
    main()
