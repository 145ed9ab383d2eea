"""The Gantry agent: the first process of a job's pod.

It runs inside any Execution Environment, from one file, on Python 3.9 or newer, with the standard library and
what ansible-core brings (`cryptography`). What it says to ingest is specified in docs/PROTOCOL.md, part 1.

    init (process 1)            reaps, forwards signals, exits as the agent does
      agent                     main thread: prepares, starts ansible-playbook, turns its pipes into numbered events
        sender thread           one batch in flight; keeps every batch until ingest has committed it, in memory or as a file
        heartbeat thread        speaks when nothing else does, so that a cancel reaches a quiet job
        ansible-playbook        own session; our stdout callback writes each complete event on an inherited pipe

Exit codes: 0 finish answered, 64 bad bootstrap, 70 the agent itself failed, 75 ingest away for too long, 77 refused.
"""

import base64
import collections
import configparser
import ctypes
import datetime
import gzip
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import random
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import uuid

VERSION = '0.1.0'
EVENT_BYTES = 1024 * 1024  # an event that is larger loses its result and most of its text (section 1.3)
KEPT_TEXT = 64 * 1024  # what is kept of the text of such an event
ARTIFACT_BYTES = 512 * 1024  # artifacts that are larger are told of, not sent
PIPE_BYTES = 1 << 20  # what the playbook may print ahead of us
SPOOL_MEMORY = 1024 * 1024  # compressed batches that wait in memory; the others are files on the pod's volume
PROJECT_BYTES = 2 * 1024 ** 3
PROJECT_ENTRIES = 500_000
MOST_FLUSH = 5_000  # milliseconds that ingest may have us wait for more, at most
LAST_SECONDS = 6  # how long a pod that was told to stop still tries to reach ingest
SHORTEST_SECRET = 4  # shorter values cannot be masked without destroying the record
MASK = '$encrypted$'
LIMITS = {
    'chunkEvents': 1000, 'chunkBytes': 1048576, 'flushMilliseconds': 80, 'spoolBytes': 67108864,
    'heartbeatSeconds': 2, 'graceSeconds': 10, 'answerSeconds': 3600,
}

# Becomes `awx_display.py` on the memory volume and hides the EE's own under the same name, which it loads and
# changes in two places: an event goes to a pipe of its own, with the text it printed, so nothing that a task
# prints can be taken for an event. The pipe is written under ansible-runner's display lock (forks share it).
DISPLAY = r'''
DOCUMENTATION = """
    callback: awx_display
    short_description: ansible-runner's events, complete, on a pipe
    version_added: "2.0"
    description:
        - Loads the Execution Environment's own ansible-runner display callback and sends its events to the Gantry agent.
    type: stdout
    extends_documentation_fragment:
      - default_callback
    requirements:
      - Started by the Gantry agent
"""

import importlib.util
import io
import json
import os
import sys
import types
import uuid

# An event on the pipe: `lines name bytes json`, lines and bytes as numbers. A name of `-`: plain text, as JSON.

pipe = int(os.environ.pop('GANTRY_EVENTS_FD'))
os.set_inheritable(pipe, False)
loader = importlib.util.spec_from_file_location('gantry_runner_display', os.environ.pop('GANTRY_RUNNER_DISPLAY'))
display = importlib.util.module_from_spec(loader)
loader.loader.exec_module(display)
Encoder = getattr(display, 'AnsibleJSONEncoderLocal', json.JSONEncoder)
encode = Encoder(allow_nan=False).encode
context = display.event_context
real = (sys.stdout, sys.stderr)
terminal = os.fstat(1)
opened = []
random = []


class Bytes:
    def __init__(self, stream):
        self.stream = stream

    def write(self, data):
        self.stream.write(bytes(data).decode('utf-8', 'surrogateescape'))
        return len(data)

    def flush(self):
        self.stream.flush()


class Tap(io.StringIO):
    # What one event prints. On a terminal the mark that opens an event waits in the buffer of its stream until a
    # line is complete; what the other stream says until then stands before the event, as plain text.
    encoding = 'utf-8'
    errors = 'replace'
    marked = False

    @property
    def buffer(self):
        return Bytes(self)

    def write(self, text):
        self.marked = self.marked or '\n' in text
        return super().write(text)

    def flush(self):
        self.marked = True

    def isatty(self):
        return real[0].isatty()

    def fileno(self):
        return real[0].fileno()


class OtherStream(Tap):
    def __init__(self, tap):
        super().__init__()
        self.tap = tap

    def write(self, text):
        return self.tap.write(text) if self.tap.marked else super().write(text)


def detached():
    # A worker of newer ansible-core has left the terminal: what it displays is lost on ansible-runner too,
    # and comes from the main process a second time.
    try:
        now = os.fstat(1)
    except OSError:
        return True
    return (now.st_dev, now.st_ino) != (terminal.st_dev, terminal.st_ino)


def uuid4():
    # ansible-runner's callback makes two for every event. Each would give up the interpreter's lock to ask the kernel
    # for 16 bytes, and wait to get it back: so they are asked for by the thousand. (`pop` and `extend` are atomic.)
    while True:
        try:
            return uuid.UUID(bytes=random.pop(), version=4)
        except IndexError:
            data = os.urandom(16384)
            random.extend([data[at:at + 16] for at in range(0, len(data), 16)])


def forked():
    random.clear()  # two processes must not make the same ids
    opened.clear()
    sys.stdout, sys.stderr = real


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def written(event):
    try:
        return encode(event)
    except Exception as error:
        try:  # JSON has no infinite numbers: as text they survive
            return encode(json.loads(json.dumps(event, cls=Encoder), parse_constant=str))
        except Exception:
            return frame(event, error)


def frame(event, error):
    # What cannot be written as JSON (too deep, in a circle, of a type of its own) is named, the rest is kept.
    data = dict(event.get('event_data') or {})
    for key, value in data.items():
        try:
            encode(value)
        except Exception:
            data[key] = {'gantry_left_out': {'error': type(error).__name__}}
    return encode(dict(event, event_data=data))


def dump_begin(fileobj):
    if detached():
        return
    event = context.get_begin_dict()
    # Now, not at the end: the default callback takes keys out of the result while it prints.
    text = written(event)
    flush()
    tap = Tap()
    other = OtherStream(tap)
    opened.append((event['event'], text, tap, other, sys.stdout, sys.stderr))
    sys.stdout, sys.stderr = (other, tap) if fileobj is sys.stderr else (tap, other)


def dump_end(fileobj):
    if not opened:
        return
    name, text, tap, other, sys.stdout, sys.stderr = opened.pop()
    printed = tap.getvalue()
    body = '{"stdout": %s, %s' % (json.dumps(printed.rstrip('\r\n')), text[1:])
    line = '%d %s %d %s\n' % (printed.count('\n'), name, len(body), body)
    if other.getvalue():
        before = json.dumps(other.getvalue())
        line = '0 - %d %s\n' % (len(before), before) + line
    data = memoryview(line.encode('ascii'))
    while data:
        data = data[os.write(pipe, data):]


os.register_at_fork(after_in_child=forked)
context.dump_begin = dump_begin
context.dump_end = dump_end
if getattr(display, 'uuid', None) is uuid:
    display.uuid = types.SimpleNamespace(**dict(vars(uuid), uuid4=uuid4))


class CallbackModule(display.CallbackModule):
    CALLBACK_NAME = 'awx_display'
    CALLBACK_TYPE = 'stdout'
    CALLBACK_VERSION = 2.0
'''


class Exit(Exception):
    """The agent must stop, and nothing can be told to ingest: exit code and a line for standard error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Failure(Exception):
    """The job cannot run or did not end well, and ingest is told so: a reason code and a sentence for a person."""

    def __init__(self, code, message, status='error'):
        super().__init__(message)
        self.code = code
        self.status = status

    def reason(self):
        return {'code': self.code, 'message': str(self)}


def say(text):
    """A diagnostic of the agent's own. Never a value that came with a credential."""
    try:
        sys.stderr.write('gantry-agent: %s\n' % text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode('ascii')


def unb64url(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


# --- Who we are (PROTOCOL 1.1) ---------------------------------------------------------------------------------


def read_token(descriptor=0, seconds=120):
    """The pod token: from the file GANTRY_TOKEN_FILE names, else from a `gantry-token:` line on standard input.

    Anything before the mark is skipped, on the same line too: some engines feed the body of the attach call
    to the container's standard input. Raises Exit 64.
    """
    path = os.environ.get('GANTRY_TOKEN_FILE')
    if path:
        try:
            with open(path, encoding='ascii') as file:
                token = file.read().strip()
        except (OSError, ValueError) as error:
            raise Exit(64, 'cannot read the token file %s: %s' % (path, error))
        return token[len('gantry-token:'):] if token.startswith('gantry-token:') else token
    held = b''
    deadline = time.monotonic() + seconds
    while True:
        match = re.search(rb'gantry-token:([A-Za-z0-9._~+/=-]+)\r?\n', held)
        if match:
            return match.group(1).decode('ascii')
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        data = os.read(descriptor, 4096) if ready else b''
        if not data:
            raise Exit(64, 'no line "gantry-token:<token>" came on standard input')
        held = (held + data)[-65536:]


class Identity:
    """The keys that follow from the token, and the proof for one start."""

    def __init__(self, token, job, epoch):
        self.job = job
        self.epoch = epoch
        key = token.encode('utf-8')
        self.bearer = b64url(hmac.new(key, b'gantry pod bearer', hashlib.sha256).digest())
        self.proof_key = hmac.new(key, b'gantry pod proof', hashlib.sha256).digest()

    def proof(self, jwk):
        members = json.dumps({name: jwk[name] for name in ('crv', 'kty', 'x', 'y')}, separators=(',', ':'), sort_keys=True)
        thumbprint = b64url(hashlib.sha256(members.encode('ascii')).digest())
        text = '%s.%s.%s' % (self.job, self.epoch, thumbprint)
        return b64url(hmac.new(self.proof_key, text.encode('utf-8'), hashlib.sha256).digest())


class SealKey:
    """A P-256 key made for one start; opens the JWE (ECDH-ES, A256GCM) that the vault seals to it."""

    def __init__(self):
        try:
            from cryptography.hazmat.backends import default_backend
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError as error:
            raise Exit(70, 'this image has no Python package "cryptography" (%s); ansible-core needs it too' % error)
        self._ec = ec
        self._private = ec.generate_private_key(ec.SECP256R1(), default_backend())
        numbers = self._private.public_key().public_numbers()
        x, y = (b64url(number.to_bytes(32, 'big')) for number in (numbers.x, numbers.y))
        self.jwk = {'kty': 'EC', 'crv': 'P-256', 'x': x, 'y': y}

    def open(self, compact):
        """The plaintext bytes. Raises Failure credentials_unusable."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.backends import default_backend
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        try:
            protected, wrapped, iv, ciphertext, tag = compact.split('.')
            header = json.loads(unb64url(protected))
            epk = header['epk']
            if header['alg'] != 'ECDH-ES' or header['enc'] != 'A256GCM' or wrapped or epk['crv'] != 'P-256' or 'zip' in header:
                raise ValueError('not ECDH-ES with A256GCM on P-256')
            x, y = (int.from_bytes(unb64url(epk[name]), 'big') for name in ('x', 'y'))
            peer = self._ec.EllipticCurvePublicNumbers(x, y, self._ec.SECP256R1()).public_key(default_backend())
            shared = self._private.exchange(self._ec.ECDH(), peer)
            # Concat KDF (RFC 7518, 4.6.2): 256 bits are one round of SHA-256.
            sized = lambda data: len(data).to_bytes(4, 'big') + data
            parties = sized(unb64url(header.get('apu', ''))) + sized(unb64url(header.get('apv', '')))
            info = sized(b'A256GCM') + parties + (256).to_bytes(4, 'big')
            key = hashlib.sha256((1).to_bytes(4, 'big') + shared + info).digest()
            return AESGCM(key).decrypt(unb64url(iv), unb64url(ciphertext) + unb64url(tag), protected.encode('ascii'))
        except (ValueError, KeyError, TypeError, InvalidTag) as error:
            raise Failure('credentials_unusable', 'The sealed credentials could not be opened (%s).' % (str(error) or type(error).__name__))


# --- The line to ingest (PROTOCOL 1.2) -------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Refused(Exception):
    """Ingest answered, and not with 200."""

    def __init__(self, status, body):
        self.status = status
        self.body = body if isinstance(body, dict) else {}
        details = self.body.get('details')
        self.details = details if isinstance(details, dict) else {}
        self.reason = self.details.get('reason') or self.body.get('code') or ''
        super().__init__('%d %s: %s' % (status, self.reason, self.body.get('message') or ''))


class Link:
    """One connection to ingest, kept open. Not shared between threads."""

    def __init__(self, url, identity, timeout=30):
        self._url = url
        self._timeout = timeout
        self._connection = None
        self._prefix = '/pods/v1/jobs/%s' % urllib.parse.quote(identity.job, safe='')
        self._headers = {'Authorization': 'Bearer ' + identity.bearer, 'Gantry-Epoch': str(identity.epoch)}

    def _connect(self):
        parts = urllib.parse.urlsplit(self._url)
        if parts.scheme == 'unix':
            return UnixConnection(parts.path, self._timeout), ''
        base = parts.path.rstrip('/')
        if parts.scheme == 'http' and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout), base
        if parts.scheme == 'https' and parts.hostname:
            import ssl
            context = ssl.create_default_context(cafile=os.environ.get('GANTRY_CA_FILE') or None)
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self._timeout, context=context), base
        raise Exit(64, 'GANTRY_URL must begin with http://, https:// or unix:///, it is %s' % self._url)

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, method, path, body, headers):
        reused = self._connection is not None
        if not reused:
            self._connection, self._base = self._connect()
        try:
            self._connection.request(method, self._base + self._prefix + path, body, dict(self._headers, **headers))
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException):
            self.close()
            if not reused:
                raise
        # The server may close a connection that was idle; that says nothing about the server.
        return self._send(method, path, body, headers)

    def call(self, method, path, body=None, headers=None, sink=None):
        """The JSON answer, or None with the bytes written to `sink`. Raises Refused, OSError, HTTPException."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body, separators=(',', ':')).encode('ascii')
            headers['Content-Type'] = 'application/json'
        try:
            answer = self._send(method, path, body, headers)
            if answer.status == 200 and sink is not None:
                shutil.copyfileobj(answer, sink, 1 << 18)
                return None
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        try:
            value = json.loads(data) if data else {}
        except ValueError:
            value = {}
        value = value if isinstance(value, dict) else {}
        if answer.status != 200:
            raise Refused(answer.status, value)
        return value


class Patience:
    """How long to wait for the next try: 0.1 s to 5 s, for `seconds` since the last answer."""

    def __init__(self, seconds):
        self._seconds = seconds
        self.answered()

    def answered(self):
        self._delay = 0.1
        self._since = time.monotonic()

    def next(self, error):
        if time.monotonic() - self._since > self._seconds:
            raise Exit(75, 'ingest has not answered for %d s: %s' % (self._seconds, error))
        delay, self._delay = self._delay, min(5.0, self._delay * 2)
        return delay * random.uniform(0.75, 1.0)


def insist(control, patience, call, again=(408, 429)):
    """Calls until there is an answer. Raises Exit 77 and 75, Refused for an answer that no repetition changes (not 5xx, not `again`)."""
    while True:
        if control.dead:
            raise control.dead
        try:
            answer = call()
            patience.answered()
            return answer
        except Refused as refused:
            if refused.status in (401, 403):
                raise Exit(77, 'ingest refuses us: %s' % refused)
            if refused.status < 500 and refused.status not in again:
                raise
            problem = refused
        except (OSError, http.client.HTTPException) as error:
            problem = error
        delay = patience.next(problem)
        if control.out_of_time():
            raise Exit(75, 'told to stop, and ingest does not answer: %s' % problem)
        if delay > 1:
            say('ingest does not answer, trying again: %s' % problem)
        control.wait(delay)


class Control:
    """What the threads tell each other: cancel, a signal, or that all is lost. Wakes the main thread through a pipe."""

    def __init__(self):
        self.canceled = False
        self.told_to_stop = None
        self.dead = None
        self.flush = None
        self.waker, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self.waker, False)
        self._changed = threading.Event()

    def ring(self):
        try:
            os.write(self._bell, b'.')
        except OSError:
            pass

    def hush(self):
        try:
            os.read(self.waker, 4096)
        except OSError:
            pass

    def wait(self, seconds):
        """Sleeps, but not past the end of everything."""
        self._changed.wait(seconds)

    def heard(self, answer):
        if answer.get('cancel') is True and not self.canceled:
            self.canceled = True
            self.ring()
        flush = answer.get('flushMilliseconds')
        if isinstance(flush, int) and 0 < flush <= MOST_FLUSH:
            self.flush = flush

    def stop(self, signal_number):
        self.told_to_stop = self.told_to_stop or time.monotonic()
        self.ring()

    def out_of_time(self):
        """After a signal the engine waits a little and then kills: better to go with a word."""
        return self.told_to_stop is not None and time.monotonic() - self.told_to_stop > LAST_SECONDS

    def die(self, error):
        if not self.dead:
            self.dead = error
            self._changed.set()
            self.ring()


# --- Events on their way out (PROTOCOL 1.3 to 1.5) -------------------------------------------------------------


class Batch:
    # `body` is None while the batch lies in the file `path`.
    __slots__ = ('first', 'last', 'first_line', 'last_line', 'raw_bytes', 'previous', 'hash', 'size', 'body', 'path')

    def headers(self):
        return {
            'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip',
            'Gantry-First-Counter': str(self.first), 'Gantry-Last-Counter': str(self.last),
            'Gantry-First-Line': str(self.first_line), 'Gantry-Last-Line': str(self.last_line),
            'Gantry-Raw-Bytes': str(self.raw_bytes), 'Gantry-Previous-Hash': self.previous, 'Gantry-Hash': self.hash,
        }


class Spool:
    """Where cut batches wait until they are committed: SPOOL_MEMORY of them in memory, more as files of mode 0600.

        in memory  --put, while there is room-->  waiting  --remove-->  gone
        file       --put, beyond that--------->  waiting  --remove-->  unlinked

    Full at `bound` bytes, or when the volume takes no more: that batch stays in memory, and room is there again once
    something was removed. The files are no longer-lived than the agent, which alone can read them: they are not synced.
    Not safe by itself: the outbox holds its lock.
    """

    def __init__(self, folder, bound, memory=SPOOL_MEMORY):
        self._folder, self._bound, self._memory = folder, max(1, bound), memory
        self._waiting = self._held = 0
        self._no_room = False

    @property
    def full(self):
        return self._waiting >= self._bound or self._no_room

    def put(self, batch):
        self._waiting += batch.size
        if self._held + batch.size > self._memory and not self._no_room and self._write(batch):
            return
        self._held += batch.size

    def _write(self, batch):
        path = os.path.join(self._folder, '%d.gz' % batch.first)
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
                file.write(batch.body)
        except OSError as error:
            say('the volume takes no more events: %s' % error)
            self._no_room = True
            self._unlink(path)
            return False
        batch.body, batch.path = None, path
        return True

    @staticmethod
    def _unlink(path):
        try:
            os.unlink(path)
        except OSError:
            pass

    @staticmethod
    def read(batch):
        """The bytes of a batch. Raises Exit 70 when its file is not what was written."""
        if batch.body is not None:
            return batch.body
        try:
            with open(batch.path, 'rb') as file:
                body = file.read()
        except OSError as error:
            raise Exit(70, 'events that waited on the volume are gone: %s' % error)
        if len(body) != batch.size:
            raise Exit(70, 'events that waited on the volume were changed: %s' % batch.path)
        return body

    def remove(self, batch):
        self._waiting -= batch.size
        self._no_room = False
        if batch.body is None:
            self._unlink(batch.path)
        else:
            self._held -= batch.size


class Outbox:
    """Numbers events, cuts them into chained batches and delivers each until ingest has committed it.

    A batch is cut at `chunkEvents` events, at `chunkBytes`, or as soon as the sender is free and has not sent
    for `flushMilliseconds`, which each answer may set anew. A cut batch never changes. `full` tells the main thread to stop reading the playbook.
    """

    def __init__(self, control, link, job, limits, counter, line, head, spool):
        self._control, self._link, self._job, self._limits = control, link, job, limits
        self.last_counter = self._cut_counter = counter - 1
        self.last_line = line
        self.hash = head
        self._open, self._open_bytes, self._open_line = [], 0, line
        self._pending = collections.deque()
        self._spool = spool
        self._closing = False
        self._sent_at = 0.0
        self.answered_at = time.monotonic()
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='sender', daemon=True)
        self._thread.start()

    def add(self, members, lines):
        """One event: the members of its JSON object (bytes, the opening brace taken off), and how many lines it printed."""
        with self._condition:
            counter, start = self.last_counter + 1, self.last_line
            line = b'{"counter": %d, "start_line": %d, "end_line": %d, "runner_ident": "%s", %s\n' % (
                counter, start, start + lines, self._job.encode('ascii'), members)
            if self._open and self._open_bytes + len(line) > self._limits['chunkBytes']:
                self._cut()
            self.last_counter, self.last_line = counter, start + lines
            if not self._open:
                self._open_line = start
                self._condition.notify()
            self._open.append(line)
            self._open_bytes += len(line)
            if len(self._open) >= self._limits['chunkEvents'] or self._open_bytes >= self._limits['chunkBytes']:
                self._cut()
                self._condition.notify()

    def _cut(self):
        raw = b''.join(self._open)
        batch = Batch()
        batch.first = self._cut_counter + 1
        batch.last = self._cut_counter = self._cut_counter + len(self._open)
        batch.first_line, batch.last_line = self._open_line, self.last_line
        batch.raw_bytes = len(raw)
        batch.previous = self.hash
        batch.hash = self.hash = hashlib.sha256(bytes.fromhex(batch.previous) + raw).hexdigest()
        batch.body = gzip.compress(raw, 6, mtime=0)
        batch.size = len(batch.body)
        self._spool.put(batch)
        self._pending.append(batch)
        self._open, self._open_bytes = [], 0

    @property
    def full(self):
        return self._spool.full

    def close(self):
        """Delivers everything. Raises Exit if that is not possible."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        while self._thread.is_alive():
            self._thread.join(0.5)
            if self._control.dead:
                raise self._control.dead

    def _next(self):
        with self._condition:
            while True:
                flush = (self._control.flush or self._limits['flushMilliseconds']) / 1000
                if self._pending:
                    return self._pending[0]
                wait = None
                if self._open:
                    wait = self._sent_at + flush - time.monotonic()
                    if self._closing or wait <= 0:
                        self._cut()
                        continue
                elif self._closing:
                    return None
                self._condition.wait(wait)

    def _run(self):
        patience = Patience(self._limits['answerSeconds'])
        try:
            while True:
                batch = self._next()
                if batch is None:
                    return
                patience.answered()
                self._deliver(batch, patience)
        except Exception as error:  # the sender must not vanish silently: the main thread ends the job
            self._control.die(error if isinstance(error, Exit) else Exit(70, 'the sender failed: %r' % error))

    def _deliver(self, batch, patience):
        self._sent_at = time.monotonic()
        body = self._spool.read(batch)
        try:
            answer = insist(self._control, patience, lambda: self._link.call('POST', '/chunks', body, batch.headers()))
        except Refused as refused:
            if refused.status != 409 or refused.reason == 'integrity':
                raise Exit(70, 'ingest does not take counter %d: %s' % (batch.first, refused))
            return self._resume(refused)
        self.answered_at = time.monotonic()
        self._control.heard(answer)
        if not self._forget(answer.get('committed')):
            self._control.wait(patience.next('it committed less than we sent'))

    def _forget(self, committed):
        if not isinstance(committed, int):
            return False
        with self._condition:
            before = len(self._pending)
            while self._pending and self._pending[0].last <= committed:
                self._spool.remove(self._pending.popleft())
            if len(self._pending) != before:
                self._control.ring()  # the main thread may be waiting for room
            return len(self._pending) != before

    def _resume(self, refused):
        expected, head = refused.details.get('expected'), refused.details.get('head')
        if isinstance(expected, int):
            moved = self._forget(expected - 1)
            with self._condition:
                follows = self._pending[0].first if self._pending else self._cut_counter + 1
                previous = self._pending[0].previous if self._pending else self.hash
            if follows == expected and head in (None, previous):
                if not moved:
                    self._control.wait(0.5)  # it refuses what it asks for: do not spin
                return
        raise Exit(70, 'ingest has another record than we sent: %s' % refused)


class Heartbeat(threading.Thread):
    """Speaks when no batch was answered for `heartbeatSeconds`."""

    def __init__(self, control, link, seconds):
        super().__init__(name='heartbeat', daemon=True)
        self._control, self._link, self._seconds = control, link, seconds
        self.outbox = None
        self._over = threading.Event()
        self.start()

    def stop(self):
        self._over.set()

    def run(self):
        while not self._over.wait(self._seconds):
            if self.outbox and time.monotonic() - self.outbox.answered_at < self._seconds:
                continue
            try:
                self._control.heard(self._link.call('POST', '/heartbeat', {}))
            except Refused as refused:
                if refused.status in (401, 403) and not self._over.is_set():
                    self._control.die(Exit(77, 'ingest refuses us: %s' % refused))
            except (OSError, http.client.HTTPException):
                pass  # the sender notices, and counts the time


# --- Masking ---------------------------------------------------------------------------------------------------


class Masker:
    """Replaces every secret, in the forms in which programs print one, by `$encrypted$`.

    Only texts inside an event are touched (`stdout`, `event_data`), never its frame. A line without any
    of the forms, which is nearly every line, is passed on unparsed.
    """

    def __init__(self, secrets):
        forms = set()
        for secret in secrets:
            if isinstance(secret, str) and len(secret) >= SHORTEST_SECRET:
                forms |= self.forms(secret)
        self._exact = {form for form in secrets if isinstance(form, str)}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile('|'.join(re.escape(form) for form in ordered)) if ordered else None
        self._needles = sorted({json.dumps(form)[1:-1].encode('ascii') for form in ordered}, key=len)

    @staticmethod
    def forms(secret):
        plain = {secret}
        if '\n' in secret:
            plain |= {secret.strip('\n'), secret.replace('\n', '\r\n')}
            # A key printed line by line (stdout_lines, verbose output) never stands in one text as a whole.
            plain |= {line for line in secret.splitlines() if len(line) >= 8 and not line.startswith('-----')}
        forms = set(plain)
        for text in plain:
            data = text.encode('utf-8', 'surrogatepass')
            for ascii_only in (True, False):
                escaped = text
                for _ in range(3):  # a result printed as JSON inside a text inside a result
                    escaped = json.dumps(escaped, ensure_ascii=ascii_only)[1:-1]
                    forms.add(escaped)
            forms |= {repr(text)[1:-1], shlex.quote(text).strip("'"), data.hex(), data.hex().upper()}
            for quote in (urllib.parse.quote, urllib.parse.quote_plus):
                for safe in ('', '/'):
                    quoted = quote(data, safe=safe)
                    forms |= {quoted, re.sub('%[0-9A-F]{2}', lambda match: match.group().lower(), quoted)}
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                forms.add(encode(data).decode('ascii').rstrip('='))
                for shift in range(3):
                    # What stands around the secret decides the first and last characters: leave those out.
                    encoded = encode(b'\0' * shift + data).decode('ascii')
                    forms.add(encoded[(8 * shift + 5) // 6:8 * (shift + len(data)) // 6])
        return {form for form in forms if len(form) >= SHORTEST_SECRET}

    def text(self, text):
        return self._pattern.sub(MASK, text) if self._pattern else text

    def value(self, value):
        """Any JSON value with every text in it masked, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (int, float)) and not isinstance(value, bool) and str(value) in self._exact:
            return MASK
        return value

    def found_in(self, line):
        return any(needle in line for needle in self._needles)


def left_out(text, size, digest):
    # On the last line that is kept, not after it: an event has as many lines as it says.
    return '%s [gantry: left out the rest of %d bytes, sha256 %s]' % (text[:KEPT_TEXT], size, digest)


def marker(text):
    """Stands for a JSON text (bytes) that is too large."""
    return {'gantry_left_out': {'sizeBytes': len(text), 'sha256': hashlib.sha256(text).hexdigest()}}


def shrink(event):
    """An event that is too large, with markers that say what stood there. Changes `event`."""
    result = (event.get('event_data') or {}).get('res')
    if result is not None:
        text = json.dumps(result).encode('ascii')
        if len(text) > KEPT_TEXT:
            event['event_data']['res'] = marker(text)
    text = event.get('stdout') or ''
    if len(text) > KEPT_TEXT:
        data = text.encode('utf-8', 'surrogatepass')
        event['stdout'] = left_out(text, len(data), hashlib.sha256(data).hexdigest())
    text = json.dumps(event['event_data']).encode('ascii') if event.get('event_data') else b''
    if len(text) > EVENT_BYTES:
        event['event_data'] = marker(text)
    return event


class LongLine:
    """A line of plain text as it comes, piece by piece: what an event may hold of it, and of the rest size and hash."""

    def __init__(self):
        self.kept, self.size, self.rest = b'', 0, None

    def add(self, data):
        self.size += len(data)
        if self.rest is not None:
            return self.rest.update(data)
        self.kept += data
        if len(self.kept) > EVENT_BYTES:
            self.rest = hashlib.sha256(self.kept)


class Recorder:
    """Takes what the playbook prints, event by event or as plain lines, into the outbox; remembers what the end needs."""

    ERROR = re.compile(r'^(?:ERROR! |\[ERROR\]: ?)(.*)$')

    def __init__(self, outbox, masker, aware):
        self._outbox, self._masker, self._aware = outbox, masker, aware
        self._partial = LongLine()
        self.started = False
        self.stats = None
        self._early = []

    def event(self, name, body, lines):
        """`body`: the event's JSON object as bytes, without counter and lines."""
        if name == 'playbook_on_start':
            self.started = True
        if name == 'playbook_on_stats' or len(body) > EVENT_BYTES or self._masker.found_in(body):
            event = json.loads(body)
            for key in ('stdout', 'event_data'):
                if key in event:
                    event[key] = self._masked(event[key])
            if name == 'playbook_on_stats':
                self.stats = event.get('event_data') or {}
            if len(body) > EVENT_BYTES:
                event = shrink(event)
            body = json.dumps(event).encode('ascii')
        self._outbox.add(body[1:], lines)

    def _masked(self, value):
        try:
            return self._masker.value(value)
        except RecursionError:  # deeper than can be looked through: it must not leave as it is
            return {'gantry_left_out': {'error': 'RecursionError'}}

    def early_error(self, root):
        """The sentence with which ansible-playbook refused before it began, and where; None if there is none."""
        for number, line in enumerate(self._early):
            match = self.ERROR.match(line)
            if not match:
                continue
            message, after = match.group(1).strip(), '\n'.join(self._early[number + 1:number + 20])
            detail = re.search(r'^Syntax Error while loading YAML\.\n\s*(.+)', after, re.M)  # ansible-core before 2.19
            if message.endswith(':') and detail:
                message = 'Syntax error while loading YAML: ' + detail.group(1)
            place = (re.search(r'^Origin: (.+?):(\d+):(\d+)', after, re.M)
                     or re.search(r"error appears to be in '(.+?)': line (\d+), column (\d+)", after))
            if place:
                name = place.group(1)[len(root) + 1:] if place.group(1).startswith(root + '/') else place.group(1)
                message = '%s (%s, line %s, column %s)' % (message.rstrip('.'), name, place.group(2), place.group(3))
            return message[:1000].rstrip('.')
        return None

    def text(self, data, flush=False):
        """Plain output: every complete line is a `verbose` event, as with ansible-runner."""
        *lines, rest = data.split(b'\n')
        for line in lines:
            self._partial.add(line)
            self._verbose(self._partial, 1)
            self._partial = LongLine()
        self._partial.add(rest)
        if flush and self._partial.size:
            self._verbose(self._partial, 0)
            self._partial = LongLine()

    def _verbose(self, line, count):
        # What is no UTF-8 becomes lone surrogates (\udcXX), which JSON can carry: no byte is lost.
        text = line.kept.decode('utf-8', 'surrogateescape')
        text = text.rstrip('\r') if line.rest is None else self._masker.text(text)
        if not self.started and len(self._early) < 200:
            plain = re.sub('\x1b\\[[0-9;]*m', '', text)
            self._early.append(self._masker.text(plain))
        if line.rest is not None:
            text = left_out(text, line.size, line.rest.hexdigest())
        self._plain('verbose', text, count)

    def gap(self, reason, message, **details):
        """What is gone for good gets an event of its own (PROTOCOL 1.3), which is numbered and chained like any other."""
        self.text(b'', flush=True)
        self._plain('gantry_gap', '[gantry: gap: %s]' % message, 1, dict(details, reason=reason, message=message))

    def _plain(self, name, text, count, data=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        created = (now if self._aware else now.replace(tzinfo=None)).isoformat()
        event = {'event': name, 'uuid': str(uuid.uuid4()), 'stdout': text, 'created': created}
        if data is not None:
            event['event_data'] = data
        self.event(name, json.dumps(event).encode('ascii'), count)


# --- The Execution Environment ---------------------------------------------------------------------------------

PROBE = (
    'import importlib.util as u, json\n'
    'found = {name: u.find_spec(name) for name in ("ansible", "ansible_runner")}\n'
    'print(json.dumps({name: list(spec.submodule_search_locations)[0] if spec else None for name, spec in found.items()}))\n'
)


class Environment:
    """What this image has: where ansible and ansible-runner are, their versions, and the mode that follows."""

    def __init__(self):
        self.playbook_command = shutil.which('ansible-playbook')
        found = {}
        for name in ('ansible', 'ansible_runner'):
            spec = importlib.util.find_spec(name)
            found[name] = list(spec.submodule_search_locations)[0] if spec and spec.submodule_search_locations else None
        self.own_runner = found['ansible_runner'] is not None
        if not all(found.values()):
            found.update({name: path for name, path in self._probe().items() if path})
        self.ansible = self._version(found['ansible'], 'ansible_core')
        self.runner = self._version(found['ansible_runner'], 'ansible_runner')
        display = os.path.join(found['ansible_runner'] or '', 'display_callback', 'callback', 'awx_display.py')
        self.display = display if self._fits(display) else None
        self.mode = os.environ.get('GANTRY_AGENT_MODE') or ('direct' if self.display else 'runner')
        # ansible-runner's times carry an offset since 2.4; our own plain-text events do as it does.
        self.aware = self.display is None or 'timezone.utc' in self._source

    def _probe(self):
        """ansible-playbook may belong to another Python than the one that runs us: its first line says which."""
        try:
            with open(self.playbook_command or '', 'rb') as file:
                first = file.readline(256).decode('ascii', 'replace')
            interpreter = shlex.split(first[2:]) if first.startswith('#!') else []
            output = subprocess.run([*interpreter, '-c', PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30).stdout
            return json.loads(output)
        except (OSError, ValueError, subprocess.SubprocessError):
            return {}

    def _fits(self, path):
        try:
            with open(path, encoding='utf-8') as file:
                self._source = file.read()
        except OSError:
            return False
        return all(name in self._source for name in ('event_context = EventContext()', 'def dump_begin(', 'def dump_end(', 'def get_begin_dict('))

    @staticmethod
    def _version(path, name):
        """Without importing the package, which would cost more than everything else here. None if there is none."""
        if not path:
            return None
        parent = os.path.dirname(path)
        for entry in os.listdir(parent):
            match = re.match(re.escape(name) + r'-([^-]+)(\.dist-info|(-py[\d.]+)?\.egg-info)$', entry)
            if match and match.group(1) != '0.0.0':
                return match.group(1)
        try:  # Debian's ansible-runner calls itself 0.0.0
            package = 'python3-ansible-runner' if name == 'ansible_runner' else 'ansible-core'
            output = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
            return output.stdout.decode('ascii').strip().split('-')[0] or 'unknown'
        except (OSError, ValueError, subprocess.SubprocessError):
            return 'unknown'

    def require(self):
        if not self.playbook_command or not self.ansible:
            raise Failure('no_ansible', 'The image has no ansible-playbook: choose an execution environment that contains ansible-core.')
        if not self.runner or (self.mode == 'runner' and not self.own_runner):
            raise Failure('no_runner', 'The image has no ansible-runner: choose an execution environment that contains it.')


# --- What is put on the memory volume --------------------------------------------------------------------------


def work_folder():
    return os.environ.get('GANTRY_WORK_DIR') or '/runner'


class Workspace:
    """Everything lies below /runner, which is memory. Nothing else in the pod can be written but /tmp."""

    def __init__(self):
        self.root = work_folder()
        self.project = os.path.join(self.root, 'project')
        self.inventory = os.path.join(self.root, 'inventory')
        self.private = os.path.join(self.root, 'private')
        self.secrets = os.path.join(self.root, 'secrets')
        self.callback = os.path.join(self.private, 'callback')
        for path, mode in ((self.project, 0o755), (self.inventory, 0o755), (self.private, 0o700), (self.secrets, 0o700), (self.callback, 0o700)):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)  # ansible ignores an ansible.cfg in a directory that everybody may write

    def write(self, path, content, mode=0o600):
        data = content.encode('utf-8', 'surrogatepass') if isinstance(content, str) else content
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, 'wb') as file:
            os.fchmod(descriptor, mode)
            file.write(data)
        return path

    def forget_secrets(self):
        shutil.rmtree(self.secrets, ignore_errors=True)


def fetch(control, link, limits, wanted, path, what):
    """Downloads an object into `path` and checks its hash. Raises Failure, Exit."""
    digest = str(wanted['sha256'])

    def attempt():
        with open(path, 'wb') as file:
            link.call('GET', '/objects/' + urllib.parse.quote(digest, safe=''), sink=file)

    try:
        insist(control, Patience(limits['answerSeconds']), attempt)
    except Refused as refused:
        raise Failure(what + '_unavailable', 'The %s could not be fetched: %s' % (what, refused))
    actual = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            actual.update(block)
    if actual.hexdigest() != digest:
        raise Failure(what + '_damaged', 'The %s is not what was pinned: its SHA-256 is %s instead of %s.' % (what, actual.hexdigest(), digest))


def unsafe(name, why):
    return Failure('project_unsafe', 'The project archive was refused: the entry "%s" %s.' % (name, why))


def inside(path, name):
    """The path, normalised. Raises Failure that names the entry `name` if it leaves the tree."""
    parts = [part for part in path.split('/') if part not in ('', '.')]
    if path.startswith('/'):
        raise unsafe(name, 'has an absolute path')
    if '..' in parts:
        raise unsafe(name, 'leads out of the project')
    return '/'.join(parts)


def extract(archive, root, most_bytes=PROJECT_BYTES, most_entries=PROJECT_ENTRIES):
    """Unpacks a project archive below `root`, which is empty. Raises Failure that names the entry it refuses."""
    links, size, count = [], 0, 0
    root = os.path.realpath(root)
    try:
        with tarfile.open(archive, 'r:*') as tar:
            for member in tar:
                count += 1
                size += member.size
                if count > most_entries or size > most_bytes:
                    raise unsafe(member.name, 'is beyond the limit of %d entries and %d bytes' % (most_entries, most_bytes))
                path = inside(member.name, member.name)
                if path:
                    extract_member(tar, member, root, path, links)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise Failure('project_damaged', 'The project archive cannot be read: %s' % error)
    except OSError as error:
        raise Failure('project_damaged', 'The project could not be unpacked on the memory volume: %s' % error)
    for path, name in links:  # links may lead to links: only the whole tree tells where one ends
        target = os.path.realpath(path)
        if target != root and not target.startswith(root + os.sep):
            raise unsafe(name, 'is a link that leads out of the project')


def extract_member(tar, member, root, path, links):
    parent = root
    for part in path.split('/')[:-1]:
        parent = os.path.join(parent, part)
        if os.path.islink(parent):
            raise unsafe(member.name, 'lies behind a symbolic link')
        if not os.path.isdir(parent):
            os.mkdir(parent, 0o755)
    full = os.path.join(root, path)
    if os.path.lexists(full) and not (member.isdir() and os.path.isdir(full) and not os.path.islink(full)):
        raise unsafe(member.name, 'is there twice')
    if member.isdir():
        os.makedirs(full, 0o755, exist_ok=True)
    elif member.isfile():
        with os.fdopen(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
            os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)
            shutil.copyfileobj(tar.extractfile(member), file, 1 << 18)
    elif member.issym():
        if os.path.isabs(member.linkname) or os.path.normpath(os.path.join(os.path.dirname(path), member.linkname)).split('/')[0] == '..':
            raise unsafe(member.name, 'is a link that leads out of the project')
        os.symlink(member.linkname, full)
        links.append((full, member.name))
    elif member.islnk():
        source = os.path.join(root, inside(member.linkname, member.name))
        behind = os.path.realpath(os.path.dirname(source)) != os.path.dirname(source)
        if behind or not os.path.lexists(source) or not stat.S_ISREG(os.lstat(source).st_mode):
            raise unsafe(member.name, 'is a link to something that is not a file of the project')
        os.link(source, full)
    else:
        raise unsafe(member.name, 'is neither a file, a directory nor a link')


def write_inventory(space, data):
    """The snapshot as a file, and a script that prints it: the only form that takes `_meta`. Returns the script's path."""
    try:
        if not isinstance(json.loads(data), dict):
            raise ValueError('it is not an object')
    except ValueError as error:
        raise Failure('inventory_damaged', 'The inventory snapshot is not the JSON that ansible-inventory prints: %s' % error)
    listing = space.write(os.path.join(space.inventory, 'listing.json'), data, 0o644)
    # Ansible reads every file of an inventory directory, so the script is named, not the directory.
    script = space.write(os.path.join(space.inventory, 'hosts'), '#!/bin/sh\nexec cat %s\n' % shlex.quote(listing), 0o755)
    if not os.access(script, os.X_OK):
        raise Failure('volume_noexec', 'The memory volume %s is mounted noexec: the inventory script cannot run. Mount it with exec.' % space.root)
    return script


def safe_name(text, fallback):
    return re.sub(r'[^A-Za-z0-9._-]', '_', str(text)).lstrip('.-')[:64] or fallback


class KeyAgent:
    """An ssh-agent in memory with the job's keys. A key goes in through a pipe and is never a file."""

    def __init__(self, space, keys):
        self.socket = os.path.join(space.private, 'ssh-agent')
        self._environment = dict(os.environ, SSH_AUTH_SOCK=self.socket)
        try:
            self._process = subprocess.Popen(['ssh-agent', '-D', '-a', self.socket], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            raise Failure('no_ssh_agent', 'The image has no ssh-agent, and the job has an SSH key: install openssh-client in the execution environment (%s).' % error)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise Failure('no_ssh_agent', 'The ssh-agent of the image did not start.')
            time.sleep(0.005)
        for number, key in enumerate(keys):
            self._add(space, number, key)

    def _add(self, space, number, key):
        name = key.get('name') or 'number %d' % (number + 1)
        body = key['privateKey'].replace('\r\n', '\n').rstrip('\n') + '\n'
        folder = os.path.join(space.secrets, 'key-%d' % number)
        os.mkdir(folder, 0o700)
        # Once: ssh-add asks again for as long as an answer is wrong, and an empty one ends that.
        ask = space.write(os.path.join(folder, 'ask'), '#!/bin/sh\nmkdir %s 2>/dev/null && printf "%%s\\n" "$GANTRY_PASSPHRASE"\nexit 0\n'
                          % shlex.quote(os.path.join(folder, 'asked')), 0o700)
        environment = dict(self._environment, SSH_ASKPASS=ask, SSH_ASKPASS_REQUIRE='force', DISPLAY=':0',
                           GANTRY_PASSPHRASE=key.get('passphrase') or '')
        source = '-'
        if key.get('certificate'):
            # ssh-add takes a certificate only from a file beside the key: then the key is a named pipe.
            source = os.path.join(folder, 'key')
            os.mkfifo(source, 0o600)
            space.write(source + '-cert.pub', key['certificate'].strip() + '\n')
        process = subprocess.Popen(['ssh-add', source], env=environment, start_new_session=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if source != '-':
            self._feed(process, source, body)
            body = ''
        try:
            _, errors = process.communicate(body.encode('utf-8'), timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            errors = b'ssh-add did not answer'
        shutil.rmtree(folder, ignore_errors=True)
        if process.returncode != 0:
            lines = errors.decode('utf-8', 'replace').strip().splitlines()
            why = lines[-1].replace('(stdin)', 'the key').replace(source, 'the key') if lines else 'ssh-add failed'
            self.close()
            raise Failure('credentials_unusable', 'The SSH key "%s" could not be loaded: %s. Is it a private key, and is its passphrase right?' % (name, why.rstrip('.')))

    @staticmethod
    def _feed(process, path, body):
        while process.poll() is None:
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # ssh-add has not opened it yet
                time.sleep(0.002)
                continue
            os.set_blocking(descriptor, True)
            with os.fdopen(descriptor, 'wb') as file:
                file.write(body.encode('utf-8'))
            return

    def close(self):
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()


class Preparation:
    """The command and environment of ansible-playbook, made from payload and credentials."""

    def __init__(self, space, environment, payload, credentials):
        self.space, self.image, self.payload = space, environment, payload
        self.credentials = credentials or {}
        self.key_agent = None
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith('GANTRY_')}
        self.arguments = []

    def prepare(self, inventory):
        playbook = self.payload['playbook']
        parts = str(playbook).split('/')
        if str(playbook).startswith(('/', '-')) or '..' in parts or not os.path.isfile(os.path.join(self.space.project, playbook)):
            raise Failure('playbook_not_found', 'The playbook %s is not in the project at this commit.' % playbook)
        given = self.environment
        given['HOME'] = self.space.root
        given.setdefault('LANG', 'C.UTF-8')
        given.update(self._texts(self.payload.get('environment')))
        given.update(self._texts(self.credentials.get('environment')))
        given['ANSIBLE_RETRY_FILES_ENABLED'] = 'False'
        given.setdefault('ANSIBLE_HOST_KEY_CHECKING', 'False')
        self.arguments = [*map(str, self.payload.get('arguments') or []), *map(str, self.credentials.get('arguments') or []), '-i', inventory]
        hosts = self.payload.get('limitHosts')
        if hosts:
            # In a file: an argument holds at most 128 KiB.
            path = self.space.write(os.path.join(self.space.secrets, 'limit'), ''.join('%s\n' % host for host in hosts))
            self.arguments += ['--limit', '@' + path]
        self._files()
        self._passwords()
        for number, variables in enumerate((self.payload.get('extraVars'), self.credentials.get('extraVars'))):
            if variables:
                path = self.space.write(os.path.join(self.space.secrets, 'extra-vars-%d.json' % number), json.dumps(variables))
                self.arguments += ['-e', '@' + path]
        if self.credentials.get('sshKeys'):
            self.key_agent = KeyAgent(self.space, self.credentials['sshKeys'])
            given['SSH_AUTH_SOCK'] = self.key_agent.socket

    @staticmethod
    def _texts(values):
        return {str(name): str(value) for name, value in (values or {}).items()}

    def _files(self):
        for number, file in enumerate(self.credentials.get('files') or []):
            folder = os.path.join(self.space.secrets, 'file-%d' % number)
            os.mkdir(folder, 0o700)
            path = self.space.write(os.path.join(folder, safe_name(file.get('name'), 'file')), file['content'])
            if file.get('environment'):
                self.environment[str(file['environment'])] = path

    def _passwords(self):
        passwords = self.credentials.get('passwords') or {}
        for name in ('connection', 'become'):
            if passwords.get(name) is not None:
                path = self.space.write(os.path.join(self.space.secrets, name + '-password'), passwords[name] + '\n')
                self.arguments += ['--%s-password-file' % name, path]
        for number, vault in enumerate(passwords.get('vault') or []):
            path = self.space.write(os.path.join(self.space.secrets, 'vault-password-%d' % number), vault['password'] + '\n')
            self.arguments += ['--vault-id', '%s@%s' % (vault['id'], path)] if vault.get('id') else ['--vault-password-file', path]

    def colours(self):
        """Ansible colours what goes to a terminal, as ansible-runner's is; ours is a pipe, so we ask for it."""
        if self.environment.get('ANSIBLE_FORCE_COLOR') or self.environment.get('ANSIBLE_NOCOLOR') or self.environment.get('NO_COLOR'):
            return
        settings = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            settings.read(self.environment.get('ANSIBLE_CONFIG') or os.path.join(self.space.project, 'ansible.cfg'), encoding='utf-8')
            if settings.get('defaults', 'nocolor', fallback='').strip().lower() in ('1', 'true', 'yes', 'on', 'y', 't'):
                return
        except (configparser.Error, UnicodeError):
            pass  # ansible-playbook has its own words for a broken ansible.cfg
        self.environment['ANSIBLE_FORCE_COLOR'] = '1'

    def close(self):
        if self.key_agent:
            self.key_agent.close()
            self.key_agent = None
        self.space.forget_secrets()


# --- The run ---------------------------------------------------------------------------------------------------


class Stopper:
    """Why and how the playbook is ended before its time: SIGTERM to its session, after the grace SIGKILL."""

    def __init__(self, control, seconds, grace):
        self._control, self._grace = control, grace
        self._deadline = time.monotonic() + seconds if seconds else None
        self._kill_at = None
        self.why = None

    def check(self, end):
        """Called often; `end(signal)` signals the playbook."""
        now = time.monotonic()
        if not self.why:
            if self._control.dead:
                self.why = 'dead'
            elif self._control.canceled:
                self.why = 'canceled'
            elif self._control.told_to_stop:
                self.why = 'told_to_stop'
            elif self._deadline and now >= self._deadline:
                self.why = 'timed_out'
            if self.why:
                end(signal.SIGKILL if self.why == 'dead' else signal.SIGTERM)
                self._kill_at = now + self._grace
        elif self._kill_at and now >= self._kill_at:
            end(signal.SIGKILL)
            self._kill_at = None

    def pause(self):
        """How long the main thread may sleep before `check` has something to do."""
        moments = [moment for moment in (self._kill_at, self._deadline if not self.why else None) if moment]
        return max(0.0, min(moments) - time.monotonic()) if moments else 5.0


def run_direct(preparation, recorder, outbox, control, stopper):
    """Runs ansible-playbook with our callback; returns its exit code, negative for a signal."""
    space, environment = preparation.space, dict(preparation.environment)
    preparation.colours()
    environment = dict(preparation.environment)
    space.write(os.path.join(space.callback, 'awx_display.py'), DISPLAY, 0o644)
    events, events_in = os.pipe()
    plain, plain_in = os.pipe()
    for descriptor in (events, plain):
        try:
            import fcntl
            fcntl.fcntl(descriptor, 1031, PIPE_BYTES)  # F_SETPIPE_SZ: room to work ahead
        except OSError:
            pass
        os.set_blocking(descriptor, False)
    if environment.get('ANSIBLE_STDOUT_CALLBACK'):
        environment['ORIGINAL_STDOUT_CALLBACK'] = environment['ANSIBLE_STDOUT_CALLBACK']
    folders = (environment.get('ANSIBLE_CALLBACK_PLUGINS'), space.callback)
    environment.update(
        ANSIBLE_STDOUT_CALLBACK='awx_display', ANSIBLE_CALLBACK_PLUGINS=':'.join(filter(None, folders)),
        GANTRY_EVENTS_FD=str(events_in), GANTRY_RUNNER_DISPLAY=preparation.image.display)
    command = [preparation.image.playbook_command, *preparation.arguments, preparation.payload['playbook']]
    process = subprocess.Popen(command, cwd=space.project, env=environment, stdin=subprocess.DEVNULL, stdout=plain_in,
                               stderr=plain_in, pass_fds=(events_in,), start_new_session=True)
    os.close(events_in)
    os.close(plain_in)

    def end(number):
        try:
            os.killpg(process.pid, number)
        except OSError:
            pass

    def bell():
        process.wait()
        control.ring()

    threading.Thread(target=bell, name='waiter', daemon=True).start()
    pump, full = Pump(events, plain, recorder), False
    while process.poll() is None:
        held, full = full, outbox.full and not stopper.why
        if full and not held:
            say('as many events wait for ingest as may: the playbook waits too')
        watched = [control.waker] + ([] if full else pump.open())
        select.select(watched, [], [], min(0.5 if full else 5.0, stopper.pause()))
        control.hush()
        stopper.check(end)
        if not full:
            # At once: what waits longer is read together with what was printed after it, and comes after that.
            pump.read()
    end(signal.SIGKILL)  # first: what it left behind may be in the middle of an event, which then is cut for good
    pump.end()
    for descriptor in (events, plain):
        os.close(descriptor)
    return process.returncode


def plain_bytes(text):
    try:
        return text.encode('utf-8', 'surrogateescape')
    except UnicodeEncodeError:  # a half of a pair: stands for no byte
        return text.encode('utf-8', 'replace')


class Pump:
    """Reads the two pipes. Text that was printed before an event has been flushed before it: so text goes first."""

    def __init__(self, events, plain, recorder):
        self._events, self._plain, self._recorder = events, plain, recorder
        self._parts = []
        self._ended = set()

    def open(self):
        return [descriptor for descriptor in (self._events, self._plain) if descriptor not in self._ended]

    def _take(self, descriptor):
        if descriptor in self._ended:
            return b''
        try:
            data = os.read(descriptor, 1 << 18)
        except BlockingIOError:
            return b''
        if not data:
            self._ended.add(descriptor)
        return data

    def read(self):
        """What lies ready; False if nothing did."""
        events = self._take(self._events)
        something = bool(events)
        # As much as lay in the pipe when the events were read, not for as long as somebody prints.
        left = PIPE_BYTES
        while left > 0:
            text = self._take(self._plain)
            if not text:
                break
            something = True
            left -= len(text)
            self._recorder.text(text)
        *lines, rest = events.split(b'\n')
        if lines:
            self._recorder.text(b'', flush=True)
        for line in lines:
            if self._parts:
                line = b''.join(self._parts) + line
                self._parts = []
            self._take_line(line)
        if rest:
            self._parts.append(rest)
        return something

    def _take_line(self, line):
        try:
            count, name, size, body = line.split(b' ', 3)
            lines, kind = int(count), name.decode('ascii')
            if len(body) != int(size) or lines < 0:
                raise ValueError('its length is not what it says')
            if kind != '-':
                return self._recorder.event(kind, body, lines)
            text = plain_bytes(json.loads(body))
        except (ValueError, AttributeError, RecursionError):  # not what it says: it may quote the event
            say('%d bytes where an event should be cannot be read' % len(line))
            return self._recorder.gap('event_unreadable', 'an event of %d bytes could not be read' % len(line), sizeBytes=len(line))
        self._recorder.text(text, flush=True)

    def end(self):
        """ansible-playbook has ended: what lies ready, and a gap for an event that it could not finish."""
        while self.read():
            pass
        size = sum(map(len, self._parts))
        if size:
            self._recorder.gap('event_cut', 'ansible-playbook ended in the middle of an event, after %d bytes of it' % size, sizeBytes=size)
        self._recorder.text(b'', flush=True)


def run_runner(preparation, recorder, outbox, control, stopper):
    """The fallback: ansible-runner's own interface with its data on the memory volume. Returns the exit code."""
    import ansible_runner
    space = preparation.space
    data = os.path.join(space.private, 'runner')
    os.makedirs(os.path.join(data, 'env'), mode=0o700)
    # Given as an argument it would be dropped when no file of that name exists.
    space.write(os.path.join(data, 'env', 'settings'), json.dumps({'pexpect_timeout': 0.5, 'suppress_output_file': True}))

    last = 0

    def handler(event):
        nonlocal last
        while outbox.full and not stop():
            control.wait(0.05)
        # ansible-runner counts an event before it reads it, and passes over one that it cannot read.
        missing = event['counter'] - last - 1
        last = event['counter']
        if missing > 0:
            recorder.gap('events_missing', 'ansible-runner did not hand over %d events' % missing, events=missing)
        lines = event['end_line'] - event['start_line']
        for key in ('counter', 'start_line', 'end_line', 'runner_ident'):
            event.pop(key, None)
        event['stdout'] = event.get('stdout', '').replace('\r\n', '\n')
        if not event.get('event'):  # what it printed is here, what it says could not be read
            event.update(event='gantry_gap', event_data={'reason': 'event_unreadable', 'message': 'ansible-runner could not read an event'})
        text = json.dumps(json.loads(json.dumps(event), parse_constant=str))  # JSON has no infinite numbers
        recorder.event(event['event'], text.encode('ascii'), lines)
        return False

    def stop():
        stopper.check(lambda number: None)
        return stopper.why is not None

    result = ansible_runner.interface.run(
        private_data_dir=data, project_dir=space.project, playbook=preparation.payload['playbook'], quiet=True,
        cmdline=shlex.join(preparation.arguments), envvars=preparation.environment, suppress_env_files=True,
        event_handler=handler, cancel_callback=stop)
    shutil.rmtree(data, ignore_errors=True)
    return result.rc


def some(hosts):
    names = sorted(hosts)
    return ', '.join(names[:5]) + (' and %d more' % (len(names) - 5) if len(names) > 5 else '')


def out_of_memory():
    for path, name in (('/sys/fs/cgroup/memory.events', 'oom_kill'), ('/sys/fs/cgroup/memory/memory.oom_control', 'oom_kill')):
        try:
            with open(path, encoding='ascii') as file:
                if any(line.split()[0] == name and int(line.split()[1]) > 0 for line in file if len(line.split()) == 2):
                    return True
        except (OSError, ValueError):
            pass
    return False


def verdict(code, stopper, recorder, payload, root='/runner/project', canceled=False):
    """Status and reason from what happened. Raises nothing; unknown is never success."""
    if stopper.why == 'canceled' or (stopper.why == 'told_to_stop' and canceled):
        return 'canceled', {'code': 'canceled', 'message': 'The job was canceled while the playbook ran.'}
    if stopper.why == 'timed_out':
        return 'error', {'code': 'timed_out', 'message': 'The playbook ran longer than %d s and was ended.' % payload['timeoutSeconds']}
    if stopper.why:
        return 'error', {'code': 'pod_stopped', 'message': 'The pod was told to stop while the playbook ran.'}
    if code == 0:
        return 'successful', None
    if code < 0:
        if out_of_memory():
            return 'error', {'code': 'out_of_memory', 'message': 'The pod ran out of memory and ansible-playbook was killed. Raise the memory limit or lower the forks.'}
        return 'error', {'code': 'killed', 'message': 'ansible-playbook was ended by signal %d (%s).' % (-code, signal.Signals(-code).name)}
    stats = recorder.stats
    if stats is not None:
        failed, dark, total = stats.get('failures') or {}, stats.get('dark') or {}, len(stats.get('processed') or {})
        parts = ['%d of %d hosts failed: %s' % (len(failed), total, some(failed))] if failed else []
        parts += ['%d of %d hosts could not be reached: %s' % (len(dark), total, some(dark))] if dark else []
        if parts:
            return 'failed', {'code': 'hosts_failed' if failed else 'hosts_unreachable', 'message': '; '.join(parts) + '.'}
    early = recorder.early_error(root)
    if early:
        return 'failed', {'code': 'playbook_unreadable', 'message': 'ansible-playbook could not run the playbook: %s.' % early}
    return 'failed', {'code': 'playbook_failed', 'message': 'ansible-playbook ended with exit code %d; its last lines say why.' % code}


# --- The whole ---------------------------------------------------------------------------------------------------


class Agent:
    def __init__(self, control):
        self.control = control
        for name in ('GANTRY_URL', 'GANTRY_JOB_ID', 'GANTRY_EPOCH'):
            if not os.environ.get(name):
                raise Exit(64, '%s is not set' % name)
        self.url, self.job = os.environ['GANTRY_URL'], os.environ['GANTRY_JOB_ID']
        if not re.fullmatch(r'[A-Za-z0-9._-]{1,128}', self.job) or not re.fullmatch(r'\d{1,9}', os.environ['GANTRY_EPOCH']):
            raise Exit(64, 'GANTRY_JOB_ID or GANTRY_EPOCH has a form that is not expected')
        self.identity = Identity(read_token(), self.job, os.environ['GANTRY_EPOCH'])
        self.link = Link(self.url, self.identity, timeout=60)
        self.image = Environment()
        self.masker = Masker([])

    def start(self):
        key = SealKey()
        request = {
            'publicKey': key.jwk, 'proof': self.identity.proof(key.jwk),
            'agent': {'version': VERSION, 'mode': self.image.mode, 'python': sys.version.split()[0],
                      'ansibleCore': self.image.ansible, 'ansibleRunner': self.image.runner},
        }
        try:
            answer = insist(self.control, Patience(LIMITS['answerSeconds']), lambda: self.link.call('POST', '/start', request), (408, 409, 429))
            self.payload = answer['payload']
            limits = dict(LIMITS, **(answer.get('limits') or {}))
            self.limits = limits
            spool = Spool(os.path.join(work_folder(), 'private', 'spool'), limits['spoolBytes'])
            self.outbox = Outbox(self.control, Link(self.url, self.identity), self.job, limits, answer['expected'],
                                 answer.get('line') or 0, answer['head'], spool)
        except Refused as refused:
            raise Exit(70, 'ingest does not let us start: %s' % refused)
        except (KeyError, TypeError) as error:
            raise Exit(70, 'the answer to start is not understood: %r' % error)
        self.sealed, self.key = answer.get('credentials'), key
        self.heartbeat = Heartbeat(self.control, Link(self.url, self.identity, timeout=10), limits['heartbeatSeconds'])
        self.heartbeat.outbox = self.outbox

    def run(self):
        """Prepares and runs the playbook. Returns (status, exit code, reason). Raises Failure, Exit."""
        self.image.require()
        space = Workspace()
        preparation = None
        try:
            credentials = json.loads(self.key.open(self.sealed)) if self.sealed else None
            self.masker = Masker((credentials or {}).get('mask') or [])
            archive, snapshot = os.path.join(space.private, 'project.tar'), os.path.join(space.private, 'inventory.json')
            fetch(self.control, self.link, self.limits, self.payload['project'], archive, 'project')
            fetch(self.control, self.link, self.limits, self.payload['inventory'], snapshot, 'inventory')
            extract(archive, space.project)
            with open(snapshot, 'rb') as file:
                inventory = write_inventory(space, file.read())
            os.unlink(archive)
            os.unlink(snapshot)
            preparation = Preparation(space, self.image, self.payload, credentials)
            preparation.prepare(inventory)
            if self.control.canceled:
                return 'canceled', None, {'code': 'canceled', 'message': 'The job was canceled before the playbook started.'}
            self.recorder = Recorder(self.outbox, self.masker, self.image.aware)
            stopper = Stopper(self.control, self.payload.get('timeoutSeconds') or 0, self.limits['graceSeconds'])
            run = run_direct if self.image.mode == 'direct' else run_runner
            code = run(preparation, self.recorder, self.outbox, self.control, stopper)
            if self.control.dead:
                raise self.control.dead
            status, reason = verdict(code, stopper, self.recorder, self.payload, space.project, self.control.canceled)
            return status, code, reason
        finally:
            if preparation:
                preparation.close()
            space.forget_secrets()
            if INIT:
                try:
                    os.kill(-1, signal.SIGKILL)  # all but process 1 and us: what the playbook left behind
                except OSError:
                    pass

    recorder = None

    def finish(self, status, code, reason):
        self.outbox.close()
        artifacts = ((self.recorder.stats or {}).get('artifact_data') if self.recorder else None) or {}
        text = json.dumps(artifacts).encode('ascii')
        artifacts = marker(text) if len(text) > ARTIFACT_BYTES else artifacts
        request = {
            'lastCounter': self.outbox.last_counter, 'lastLine': self.outbox.last_line, 'hash': self.outbox.hash,
            'status': status, 'exitCode': code, 'reason': self.masker.value(reason), 'artifacts': artifacts,
        }
        try:
            insist(self.control, Patience(self.limits['answerSeconds']), lambda: self.link.call('POST', '/finish', request))
        except Refused as refused:
            raise Exit(70, 'ingest does not take the end of the job: %s' % refused)
        self.heartbeat.stop()

    def main(self):
        self.start()
        try:
            status, code, reason = self.run()
        except Failure as failure:
            status, code, reason = failure.status, None, failure.reason()
        except Exit:
            raise
        except Exception as error:  # a defect of ours, or a disk that is full: the job must hear of it
            say('failed: %r' % error)
            status, code, reason = 'error', None, {'code': 'agent_failed', 'message': 'The agent in the pod failed: %s' % self.masker.text(repr(error))}
        if self.control.canceled and code is None and status == 'error':
            status, reason = 'canceled', {'code': 'canceled', 'message': 'The job was canceled before the playbook started.'}
        self.finish(status, code, reason)


INIT = False  # whether our parent is process 1 of a namespace of its own


def guard():
    """Hides environment, memory and descriptors of this process from others of the same user."""
    try:
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except (OSError, AttributeError):
        say('cannot make this process undumpable')


def init():
    """Process 1: forks the agent, forwards signals, reaps, ends as the agent does. Returns in the agent."""
    global INIT
    INIT = os.getpid() == 1
    forwarded = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    child = os.fork()
    if child == 0:
        return
    for number in forwarded:
        signal.signal(number, lambda received, _: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 70)


def main():
    guard()
    init()
    try:
        control = Control()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda received, _: control.stop(received))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT))
        Agent(control).main()
        code = 0
    except Exit as error:
        say(str(error))
        code = error.code
    except Exception as error:
        say('failed: %r' % error)
        code = 70
    sys.stderr.flush()
    os._exit(code)


if __name__ == '__main__':
    main()
