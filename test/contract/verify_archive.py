"""Checks an exported job. Written from docs/RECORD.md alone, with Python's standard library: a second opinion on `gantry verify FILE`.

Usage: python3 verify_archive.py FILE. Prints what does not fit, a line each; exit code 0 intact, 1 damaged.
"""
import gzip
import hashlib
import json
import re
import sys
from datetime import datetime

COLUMNS = ('firstCounter', 'lastCounter', 'firstLine', 'lastLine', 'epoch', 'rawLength', 'codec', 'receivedAt', 'previousHash', 'hash')
faults = []


def check(fits, *what):
    if not fits:
        faults.append(' '.join(map(str, what)))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def only_header(path, size, modified):
    """Section 5: the one header that a file of this name and size may have."""
    head = path.encode().ljust(100, b'\0') + b'0000644\0' + b'0000000\0' * 2 + b'%011o\0' % size + b'%011o\0' % modified
    tail = (b'0'.ljust(101, b'\0') + b'ustar\0' + b'00').ljust(356, b'\0')
    return head + b'%06o\0 ' % sum(head + b' ' * 8 + tail) + tail


def read_files(content):
    """The files of the tar in their order, and their headers."""
    files, headers, at = {}, {}, 0
    while len(content) - at > 1024:
        header = content[at:at + 512]
        size = int(header[124:135], 8)
        path = header[:100].rstrip(b'\0').decode()
        end = at + 512 + size
        files[path], headers[path] = content[at + 512:end], header
        at = -(-end // 512) * 512
        check(not content[end:at].strip(b'\0'), 'padding after', path)
    check(content[at:] == b'\0' * 1024, 'the end of the archive')
    return files, headers


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()


def check_stream(name, stream, text):
    """Section 4."""
    events = [json.loads(line) for line in text.splitlines()]
    head = bytes(32)
    for version, event in enumerate(events, 1):
        covered = {key: value for key, value in event.items() if key not in ('hash', 'previousHash')}
        check(event['stream'] == stream and event['streamVersion'] == version, name, 'version', version, 'is missing')
        check(event['previousHash'] == head.hex(), name, 'version', version, 'does not follow the one before')
        check(event['hash'] == sha256(head + canonical(covered)), name, 'version', version, 'was changed')
        head = bytes.fromhex(event['hash'])
    return {event['type']: event['data'] for event in events}


def check_chunk(job, chunk, stored, head, counter, line):
    """Section 6.2. Returns the head, counter and line after it."""
    name = 'events %d to %d:' % (chunk['firstCounter'], chunk['lastCounter'])
    check(sha256(stored) == chunk['payloadSha256'] and len(stored) == chunk['storedLength'], name, 'stored bytes')
    text = '|'.join([job] + [str(chunk[column]) for column in COLUMNS])
    check(sha256(text.encode()) == chunk['headerSha256'], name, 'columns')
    raw = gzip.decompress(stored)
    check(chunk['previousHash'] == head.hex() and chunk['hash'] == sha256(head + raw), name, 'chain')
    check(chunk['codec'] == 1 and chunk['rawLength'] == len(raw), name, 'codec or length')
    lines = raw.decode().rstrip('\n').split('\n')
    check(chunk['firstCounter'] == counter + 1 and chunk['lastCounter'] == counter + len(lines), name, 'counters')
    check(chunk['firstLine'] == line, name, 'lines')
    for text in lines:
        counter += 1
        event = json.loads(text)
        check(event['counter'] == counter and event['start_line'] == line, name, 'event', counter)
        line = event['end_line']
    check(chunk['lastLine'] == line, name, 'lines')
    return hashlib.sha256(head + raw).digest(), counter, line


def main(path):
    with open(path, 'rb') as file:
        files, headers = read_files(file.read())
    folder = re.match(r'gantry-job-[0-9a-f-]{36}/', next(iter(files))).group()
    job = folder[len('gantry-job-'):-1]
    manifest = json.loads(files[folder + 'manifest.json'])
    modified = int(datetime.fromisoformat(manifest['job']['finishedAt'].replace('Z', '+00:00')).timestamp())
    names = ['README.txt', 'job.ndjson', 'record.ndjson', 'hosts.ndjson'] + [chunk['file'] for chunk in manifest['chunks']] + ['manifest.json']
    check(list(files) == [folder + name for name in names + ['SHA256SUMS']], 'names or order of the files')
    for name, content in files.items():
        check(headers[name] == only_header(name, len(content), modified), 'tar header of', name)
    sums = ''.join('%s  %s\n' % (sha256(files[folder + name]), name) for name in names)
    check(files[folder + 'SHA256SUMS'].decode() == sums, 'SHA256SUMS')

    life = check_stream('job.ndjson', 'job-' + job, files[folder + 'job.ndjson'].decode())
    record = check_stream('record.ndjson', 'record-' + job, files[folder + 'record.ndjson'].decode())
    head, counter, line = hashlib.sha256(('gantry:' + job).encode()).digest(), 0, 0
    for chunk in manifest['chunks']:
        head, counter, line = check_chunk(job, chunk, files[folder + chunk['file']], head, counter, line)

    seal = record['record.sealed']
    check((seal['lastCounter'], seal['lastLine'], seal['sha256']) == (counter, line, head.hex()), 'seal against the chunks')
    check(life['job.record_sealed'] == seal and manifest['record']['seal'] == seal, 'seal in the job and in the manifest')
    finished = life['job.finished']
    check((finished['lastCounter'], finished['sha256'], finished['status']) == (counter, head.hex(), manifest['job']['status']), 'job.finished')


if __name__ == '__main__':
    try:
        main(sys.argv[1])
    except Exception as error:  # whatever cannot be read is damage
        faults.append('cannot be read: %r' % error)
    print('\n'.join(faults) or 'intact')
    sys.exit(1 if faults else 0)
