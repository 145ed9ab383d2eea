"""Unit tests of the agent's pure parts. Run with `python3 -m unittest` in this folder."""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import threading
import time
import unittest
import urllib.parse

import agent


def archive(*entries):
    """A tar of (name, content or a change of the entry)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode='w') as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if callable(content):
                content(member)
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


def entry(kind, target='', mode=0o755):
    def change(member):
        member.type, member.linkname, member.mode = kind, target, mode
    return change


class TheProjectArchive(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.folder.name, 'project')
        os.mkdir(self.root)

    def tearDown(self):
        self.folder.cleanup()

    def extract(self, *entries, **limits):
        path = os.path.join(self.folder.name, 'project.tar')
        with open(path, 'wb') as file:
            file.write(archive(*entries))
        agent.extract(path, self.root, **limits)

    def refused(self, name, *entries, **limits):
        with self.assertRaises(agent.Failure) as caught:
            self.extract(*entries, **limits)
        self.assertEqual(caught.exception.code, 'project_unsafe')
        self.assertIn('"%s"' % name, str(caught.exception))

    def test_is_unpacked_with_its_links(self):
        self.extract(('a', entry(tarfile.DIRTYPE)), ('a/b.yml', b'text'), ('c', entry(tarfile.SYMTYPE, 'a/b.yml')), ('a/up', entry(tarfile.SYMTYPE, '../c')))
        for path in ('a/b.yml', 'c', 'a/up'):
            with open(os.path.join(self.root, path), 'rb') as file:
                self.assertEqual(file.read(), b'text')

    def test_is_refused_when_an_entry_leaves_it(self):
        self.refused('../x', ('../x', b''))
        self.refused('a/../../x', ('a/../../x', b''))
        self.refused('/etc/x', ('/etc/x', b''))

    def test_is_refused_when_a_link_leaves_it(self):
        self.refused('l', ('l', entry(tarfile.SYMTYPE, '../../etc/passwd')))
        self.refused('m', ('m', entry(tarfile.SYMTYPE, '/etc/passwd')))
        self.refused('h', ('h', entry(tarfile.LNKTYPE, '../x')))
        self.refused('g', ('g', entry(tarfile.LNKTYPE, 'nothing')))

    def test_is_refused_when_links_leave_it_together(self):
        self.refused('x', ('y', entry(tarfile.SYMTYPE, '.')), ('x', entry(tarfile.SYMTYPE, 'y/..')))

    def test_is_refused_when_an_entry_lies_behind_a_link(self):
        self.refused('l/x', ('d', entry(tarfile.DIRTYPE)), ('l', entry(tarfile.SYMTYPE, 'd')), ('l/x', b''))

    def test_is_refused_with_devices_pipes_and_duplicates(self):
        self.refused('n', ('n', entry(tarfile.CHRTYPE)))
        self.refused('p', ('p', entry(tarfile.FIFOTYPE)))
        self.refused('f', ('f', b''), ('f', b''))

    def test_is_refused_beyond_its_limits(self):
        self.refused('b', ('a', b'x' * 10), ('b', b'x' * 10), most_bytes=15)
        self.refused('d', ('c', b''), ('d', b''), most_entries=1)

    def test_that_is_no_archive_is_called_damaged(self):
        path = os.path.join(self.folder.name, 'x')
        with open(path, 'wb') as file:
            file.write(b'not a tar' * 1000)
        with self.assertRaises(agent.Failure) as caught:
            agent.extract(path, self.root)
        self.assertEqual(caught.exception.code, 'project_damaged')


class Masking(unittest.TestCase):
    secret = 'pä"ss\\wörd/+? x'

    def masked(self, value, *secrets):
        masker = agent.Masker(secrets or [self.secret])
        line = json.dumps(value).encode()
        return masker.value(value) if masker.found_in(line) else value

    def test_covers_every_form(self):
        secret, data = self.secret, self.secret.encode()
        once = json.dumps(secret)[1:-1]
        forms = [secret, once, json.dumps(once)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], urllib.parse.quote(secret),
                 urllib.parse.quote(secret, safe=''), urllib.parse.quote_plus(secret), data.hex(), base64.b64encode(data).decode()]
        for form in forms:
            with self.subTest(form=form):
                self.assertIn(agent.MASK, self.masked({'stdout': 'a %s b' % form})['stdout'])

    def test_covers_base64_at_every_alignment(self):
        for before in (b'', b'a', b'ab', b'abc'):
            for after in (b'', b'z', b'yz'):
                encoded = base64.b64encode(before + self.secret.encode() + after).decode()
                masked = self.masked(encoded)
                self.assertIn(agent.MASK, masked)
                self.assertLessEqual(len(masked.replace(agent.MASK, '')), 12)

    def test_covers_keys_of_objects_numbers_and_the_lines_of_a_key(self):
        key = '-----BEGIN KEY-----\nabcdefghij\nklmnopqrst\n-----END KEY-----\n'
        self.assertEqual(self.masked({'x': ['abcdefghij', 'klmnopqrst']}, key), {'x': [agent.MASK, agent.MASK]})
        self.assertEqual(self.masked({'p4ss': {'p4ss': 1}}, 'p4ss'), {agent.MASK: {agent.MASK: 1}})
        self.assertEqual(self.masked({'n': 12345}, '12345'), {'n': agent.MASK})

    def test_leaves_the_rest_alone(self):
        value = {'n': 123456, 'flag': True, 'text': 'nothing here', 'short': 'abc'}
        self.assertEqual(self.masked(value, '12345x', 'true!', 'abc'), value)


class Outlet:
    """Stands for the outbox."""

    def __init__(self):
        self.events = []

    def add(self, members, lines):
        self.events.append((json.loads(b'{' + members), lines))


class ARecorder(unittest.TestCase):
    def setUp(self):
        self.outlet = Outlet()
        self.recorder = agent.Recorder(self.outlet, agent.Masker(['hunter22']), True)

    def test_makes_an_event_of_every_line(self):
        self.recorder.text(b'one\r\ntw')
        self.recorder.text(b'o\n\nthree', flush=True)
        self.assertEqual([(event['event'], event['stdout'], lines) for event, lines in self.outlet.events],
                         [('verbose', 'one', 1), ('verbose', 'two', 1), ('verbose', '', 1), ('verbose', 'three', 0)])

    def early(self, text):
        recorder = agent.Recorder(Outlet(), agent.Masker(['hunter22']), True)
        recorder.text(text.encode(), flush=True)
        return recorder.early_error('/p')

    def test_keeps_the_sentence_of_an_early_error(self):
        self.assertEqual(self.early('\x1b[0;31mERROR! no hunter22 here\x1b[0m\n[ERROR]: second\n'), 'no $encrypted$ here')
        self.assertIsNone(self.early('[WARNING]: nothing\n'))

    def test_says_where_an_early_error_is(self):
        new = '[ERROR]: YAML parsing failed: no node.\nOrigin: /p/site.yml:3:1\n\n'
        self.assertEqual(self.early(new), 'YAML parsing failed: no node (site.yml, line 3, column 1)')
        old = ("ERROR! We were unable to read either as JSON nor YAML, these are the errors we got from each:\nJSON: Expecting value\n\n"
               "Syntax Error while loading YAML.\n  no node\n\nThe error appears to be in '/p/a/b.yml': line 3, column 1, but may\n")
        self.assertEqual(self.early(old), 'Syntax error while loading YAML: no node (a/b.yml, line 3, column 1)')

    def test_remembers_the_artifacts(self):
        self.recorder.event('playbook_on_stats', b'{"event": "playbook_on_stats", "event_data": {"artifact_data": {"a": "hunter22"}}}', 1)
        self.assertEqual(self.recorder.stats['artifact_data'], {'a': agent.MASK})

    def test_replaces_what_is_too_large_by_a_marker(self):
        result, text = {'stdout': 'x' * 2_000_000}, 'y' * 2_000_000
        body = {'uuid': 'u', 'event': 'runner_on_ok', 'stdout': text, 'event_data': {'host': 'h', 'res': result}}
        self.recorder.event('runner_on_ok', json.dumps(body).encode(), 3)
        event, lines = self.outlet.events[0]
        original = json.dumps(result).encode()
        self.assertEqual(event['event_data'], {'host': 'h', 'res': {'gantry_left_out': {'sizeBytes': len(original), 'sha256': hashlib.sha256(original).hexdigest()}}})
        self.assertTrue(event['stdout'].startswith('yyy') and hashlib.sha256(text.encode()).hexdigest() in event['stdout'])
        self.assertLess(len(event['stdout']), 70_000)
        self.assertEqual(lines, 3)


    def test_leaves_out_what_is_too_deep_to_be_masked(self):
        deep = 'hunter22'
        for _ in range(700):
            deep = [deep]
        body = {'event': 'runner_on_ok', 'stdout': 'hunter22', 'event_data': {'res': deep}}
        self.recorder.event('runner_on_ok', json.dumps(body).encode(), 1)
        event = self.outlet.events[0][0]
        self.assertEqual((event['stdout'], event['event_data']), (agent.MASK, {'gantry_left_out': {'error': 'RecursionError'}}))

    def test_keeps_bytes_that_are_no_utf_8(self):
        self.recorder.text(b'a\xff\x00b\n')
        self.assertEqual(self.outlet.events[0][0]['stdout'], 'a\udcff\x00b')

    def test_holds_only_the_beginning_of_an_endless_line(self):
        data = b'hunter22' + b'x' * (3 * agent.EVENT_BYTES)
        for at in range(0, len(data), 1 << 18):
            self.recorder.text(data[at:at + (1 << 18)])
        self.assertLess(len(self.recorder._partial.kept), agent.EVENT_BYTES + (1 << 18) + 1)
        self.recorder.text(b'\nnext\n')
        [(event, lines), (following, _)] = self.outlet.events
        self.assertEqual((event['event'], lines, following['stdout']), ('verbose', 1, 'next'))
        self.assertTrue(event['stdout'].startswith(agent.MASK + 'xxx'))
        self.assertTrue(event['stdout'].endswith(' [gantry: left out the rest of %d bytes, sha256 %s]' % (len(data), hashlib.sha256(data).hexdigest())))
        self.assertLess(len(event['stdout']), 70_000)


class ThePump(unittest.TestCase):
    """What lies on the pipe of events when ansible-playbook is killed or a process gone wild writes to it."""

    def pumped(self, data):
        outlet = Outlet()
        events, events_in = os.pipe()
        plain, plain_in = os.pipe()
        os.write(events_in, data)
        os.close(events_in)
        os.close(plain_in)
        pump = agent.Pump(events, plain, agent.Recorder(outlet, agent.Masker([]), True))
        pump.end()
        os.close(events)
        os.close(plain)
        return [(event['event'], event.get('event_data'), lines) for event, lines in outlet.events]

    good = b'1 runner_on_ok 25 {"event": "runner_on_ok"}\n'

    def test_passes_events_on(self):
        self.assertEqual(self.pumped(self.good + b'0 - 4 "ab"\n'), [('runner_on_ok', None, 1), ('verbose', None, 0)])

    def test_puts_a_gap_where_an_event_was_cut(self):
        [_, (name, data, lines)] = self.pumped(self.good + b'1 runner_on_ok 5000 {"stdout": "half')
        self.assertEqual((name, data['reason'], data['sizeBytes'], lines), ('gantry_gap', 'event_cut', 36, 1))

    def test_puts_a_gap_where_an_event_cannot_be_read_and_goes_on(self):
        for broken in (b'nonsense\n', b'1 x 3 {}\n', b'x y z {}\n', b'\xff \xff 2 {}\n', b'0 - 2 {}\n', b'-1 x 2 {}\n', b'0 - 3 "a\n', b'\n'):
            with self.subTest(broken=broken):
                [(name, data, _), (after, _, _)] = self.pumped(broken + self.good)
                self.assertEqual((name, data['reason'], data['sizeBytes'], after), ('gantry_gap', 'event_unreadable', len(broken) - 1, 'runner_on_ok'))


    def test_does_not_read_for_as_long_as_somebody_prints(self):
        outlet = Outlet()
        (events, events_in), (plain, plain_in) = os.pipe(), os.pipe()
        os.set_blocking(events, False)
        over = threading.Event()

        def flood():
            while not over.is_set():
                os.write(plain_in, b'y' * 4000 + b'\n')

        writer = threading.Thread(target=flood)
        writer.start()
        pump = agent.Pump(events, plain, agent.Recorder(outlet, agent.Masker([]), True))
        self.assertTrue(pump.read())
        over.set()
        os.set_blocking(plain, False)
        pump.read()
        writer.join()
        for descriptor in (events, events_in, plain, plain_in):
            os.close(descriptor)
        self.assertLess(sum(len(event["stdout"]) for event, _ in outlet.events), 3 * agent.PIPE_BYTES)


class Silence:
    """Stands for a link to an ingest that takes what it is sent, or is away."""

    def __init__(self):
        self.away, self.bodies, self.says = True, [], {}

    def call(self, method, path, body, headers):
        if self.away:
            raise OSError('away')
        self.bodies.append(body)
        return dict(self.says, committed=int(headers['Gantry-Last-Counter']), cancel=False)


class TheOutbox(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.spooled = os.path.join(self.folder.name, 'spool')
        self.link, self.control = Silence(), agent.Control()
        self.limits = dict(agent.LIMITS, chunkEvents=10)

    def outbox(self, bound, memory):
        spool = agent.Spool(self.spooled, bound, memory)
        return spool, agent.Outbox(self.control, self.link, 'job', self.limits, 1, 0, '00' * 32, spool)

    def fill(self, outbox, count):
        for _ in range(count):
            outbox.add(b'"stdout": "%s"}' % base64.b64encode(os.urandom(300)), 1)

    def heal(self, outbox):
        self.link.away = False
        outbox.close()
        events = [json.loads(line) for body in self.link.bodies for line in gzip.decompress(body).splitlines()]
        self.assertEqual([event['counter'] for event in events], list(range(1, outbox.last_counter + 1)))

    def test_keeps_little_in_memory_and_the_rest_as_private_files_until_it_is_committed(self):
        spool, outbox = self.outbox(1 << 20, 20_000)
        self.fill(outbox, 500)
        held = sum(len(batch.body) for batch in outbox._pending if batch.body is not None)
        self.assertTrue(0 < held <= 20_000)
        files = [os.path.join(self.spooled, name) for name in os.listdir(self.spooled)]
        self.assertGreater(len(files), 40)
        self.assertEqual({os.stat(path).st_mode & 0o777 for path in files}, {0o600})
        self.assertFalse(outbox.full)
        self.heal(outbox)
        self.assertEqual(os.listdir(self.spooled), [])
        self.assertEqual((spool._waiting, spool._held), (0, 0))

    def test_gathers_for_as_long_as_ingest_says(self):
        _, outbox = self.outbox(1 << 20, 20_000)
        self.link.away, self.link.says = False, {'flushMilliseconds': 5_000}
        self.fill(outbox, 1)
        while self.control.flush is None:
            time.sleep(0.01)
        self.assertEqual(self.control.flush, 5_000)
        self.fill(outbox, 3)
        time.sleep(0.2)  # longer than the limit of the start
        self.assertEqual(len(self.link.bodies), 1)
        self.heal(outbox)
        self.assertEqual(len(self.link.bodies), 2)

    def test_takes_no_notice_of_nonsense(self):
        for nonsense in (0, -1, 5_001, '80', None):
            self.control.heard({'flushMilliseconds': nonsense})
            self.assertIsNone(self.control.flush)

    def test_is_full_at_its_bound(self):
        _, outbox = self.outbox(50_000, 20_000)
        self.fill(outbox, 100)
        self.assertFalse(outbox.full)
        self.fill(outbox, 200)
        self.assertTrue(outbox.full)
        self.heal(outbox)
        self.assertFalse(outbox.full)

    def test_is_full_and_loses_nothing_when_the_volume_takes_no_more(self):
        with open(self.spooled, 'wb'):  # where the folder should be
            pass
        _, outbox = self.outbox(1 << 20, 5_000)
        self.fill(outbox, 10)
        self.assertFalse(outbox.full)
        self.fill(outbox, 40)
        self.assertTrue(outbox.full)
        self.heal(outbox)
        self.assertFalse(outbox.full)

    def test_ends_when_a_file_was_changed(self):
        _, outbox = self.outbox(1 << 20, 0)
        self.fill(outbox, 20)
        for name in os.listdir(self.spooled):
            with open(os.path.join(self.spooled, name), 'ab') as file:
                file.write(b'x')
        with self.assertRaises(agent.Exit) as caught:
            self.link.away = False
            outbox.close()
        self.assertEqual(caught.exception.code, 70)


class TheClock(unittest.TestCase):
    def test_is_the_monotonic_one_wherever_time_is_measured(self):
        with open(agent.__file__, encoding='utf-8') as file:
            source = file.read()
        self.assertNotIn('time.time(', source)
        self.assertEqual(source.count('datetime.now('), 1)  # `created` of plain text


class TheIdentity(unittest.TestCase):
    def test_follows_from_the_token(self):
        identity = agent.Identity('token', 'job', '1')
        self.assertEqual(identity.bearer, 'smZgYk0E9tvcD5lsvTaLUJqTB01qRtPa44xXygiTx9w')
        jwk = {'kty': 'EC', 'crv': 'P-256', 'x': 'x', 'y': 'y'}
        self.assertEqual(identity.proof(jwk), identity.proof(dict(reversed(list(jwk.items())))))

    def test_finds_the_token_behind_other_words(self):
        for text in (b'gantry-token:a.b-c_d\n', b'{"stream":true}gantry-token:a.b-c_d\ngantry-token:z\n', b'x\ny\ngantry-token:a.b-c_d\r\n'):
            reading, writing = os.pipe()
            os.write(writing, text)
            os.close(writing)
            self.assertEqual(agent.read_token(reading), 'a.b-c_d')
            os.close(reading)

    def test_needs_a_token(self):
        reading, writing = os.pipe()
        os.close(writing)
        with self.assertRaises(agent.Exit) as caught:
            agent.read_token(reading)
        os.close(reading)
        self.assertEqual(caught.exception.code, 64)


class Reasons(unittest.TestCase):
    class Calm:
        why = None

    def verdict(self, code, stats=None, text=b'', why=None):
        recorder = agent.Recorder(Outlet(), agent.Masker([]), True)
        recorder.stats = stats
        recorder.text(text)
        stopper = self.Calm()
        stopper.why = why
        status, reason = agent.verdict(code, stopper, recorder, {'timeoutSeconds': 7})
        return status, reason and reason['code'], reason and reason['message']

    def test_are_sentences(self):
        stats = {'processed': {'a': 1, 'b': 1, 'c': 1}, 'failures': {'b': 1}, 'dark': {'c': 1}}
        self.assertEqual(self.verdict(0), ('successful', None, None))
        self.assertEqual(self.verdict(2, stats)[2], '1 of 3 hosts failed: b; 1 of 3 hosts could not be reached: c.')
        self.assertEqual(self.verdict(4, text=b'ERROR! broken\n')[:2], ('failed', 'playbook_unreadable'))
        self.assertEqual(self.verdict(250)[:2], ('failed', 'playbook_failed'))
        self.assertEqual(self.verdict(-9)[0], 'error')
        self.assertEqual(self.verdict(-15, why='canceled')[0], 'canceled')
        self.assertEqual(self.verdict(-15, why='timed_out')[:2], ('error', 'timed_out'))


if __name__ == '__main__':
    unittest.main()
