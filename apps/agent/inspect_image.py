"""Says what an image is made of: one JSON document on standard output, and nothing else.

It runs inside the image, as a job would (same user, read-only root), on Python 3.6 or newer, with the standard
library alone, and changes nothing. docs/EXECUTION-ENVIRONMENTS.md says what each part is read from. Exit code 0
when the document is complete; what could not be read is missing from it and named in `problems`.
"""

import configparser
import glob
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys

FORMAT = 1
TEXT = 300  # longer names and versions are nobody's
PACKAGES = 20000  # of one kind
RPM_SECONDS = 60
FIRST_PYTHON = 'GANTRY_INSPECT_FIRST_PYTHON'  # version of the `python3` that began, which also runs Gantry's agent

problems = []


def read(path, limit=64 * 1024 * 1024):
    """The text of a file, or None if it cannot be read."""
    try:
        with open(path, 'rb') as file:
            return file.read(limit).decode('utf-8', 'replace')
    except OSError:
        return None


def short(value):
    return str(value).strip()[:TEXT]


def fields(text):
    """The headers of a block `Name: value`, first of each name; continuation lines are passed over."""
    found = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, colon, value = line.partition(':')
        if colon and not line[0].isspace():
            found.setdefault(name.lower(), value.strip())
    return found


# --- Python ------------------------------------------------------------------------------------------------------

def playbook_interpreter():
    """ansible-playbook may belong to another Python than the one that runs us: its first line says which."""
    try:
        with open(shutil.which('ansible-playbook') or '', 'rb') as file:
            words = file.readline(256).decode('ascii', 'replace').split()
    except OSError:
        return None
    if not words or not words[0].startswith('#!'):
        return None
    path = words[0][2:] or (words[1] if len(words) > 1 else '')
    if os.path.basename(path) == 'env' and len(words) > 1:
        path = shutil.which(words[-1]) or ''
    return path if 'python' in os.path.basename(path) and os.access(path, os.X_OK) else None


def run_as_ansible_does():
    """Goes on as the Python of ansible-playbook, so that its packages are the ones that are seen."""
    interpreter = playbook_interpreter()
    if FIRST_PYTHON in os.environ or not interpreter or interpreter == sys.executable:
        return
    arguments = (read('/proc/self/cmdline') or '').split('\0')[1:-1]
    os.environ[FIRST_PYTHON] = platform.python_version()
    try:
        os.execv(interpreter, [interpreter] + arguments)
    except OSError as error:
        problems.append('the Python of ansible-playbook, %s, cannot be run: %s' % (interpreter, error))


def python_packages(path=None):
    """Distributions by name, as their metadata names them; of one that is there twice, the first on the path."""
    found = {}
    for folder in path if path is not None else sys.path:
        names = sorted(glob.glob(os.path.join(glob.escape(folder), '*.dist-info', 'METADATA')))
        names += sorted(glob.glob(os.path.join(glob.escape(folder), '*.egg-info', 'PKG-INFO')))
        names += sorted(name for name in glob.glob(os.path.join(glob.escape(folder), '*.egg-info')) if os.path.isfile(name))
        for name in names:
            headers = fields(read(name, 1024 * 1024) or '')
            if headers.get('name') and headers.get('version'):
                found.setdefault(re.sub(r'[-_.]+', '-', headers['name']).lower(), (short(headers['name']), short(headers['version'])))
    return [{'name': name, 'version': version} for name, version in sorted(found.values(), key=lambda each: each[0].lower())]


def module_folder(name):
    """Where a package lies, without running any of it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return places[0] if places else None


def ansible_core(packages):
    """Version of ansible-core; None if there is none."""
    folder = module_folder('ansible')
    if folder is None:
        return None
    match = re.search(r'''^__version__\s*=\s*['"]([^'"]+)['"]''', read(os.path.join(folder, 'release.py')) or '', re.M)
    if match:
        return short(match.group(1))
    named = {package['name'].lower().replace('_', '-'): package['version'] for package in packages}
    return named.get('ansible-core') or named.get('ansible-base') or named.get('ansible') or 'unknown'


def ansible_runner(packages, system):
    """Version of ansible-runner; None if there is none. Debian's calls itself 0.0.0: then its package says."""
    if module_folder('ansible_runner') is None:
        return None
    for package in packages:
        if package['name'].lower().replace('_', '-') == 'ansible-runner' and package['version'] != '0.0.0':
            return package['version']
    for package in system:
        if package['name'] in ('python3-ansible-runner', 'ansible-runner'):
            return re.sub(r'^\d+:', '', package['version']).split('-')[0]
    return 'unknown'


# --- Collections -------------------------------------------------------------------------------------------------

def collection_paths():
    """Where Ansible looks, in its order: environment or configuration or its defaults, then Python's own path."""
    given = os.environ.get('ANSIBLE_COLLECTIONS_PATH') or os.environ.get('ANSIBLE_COLLECTIONS_PATHS')
    if not given:
        for file in (os.environ.get('ANSIBLE_CONFIG'), os.path.expanduser('~/.ansible.cfg'), '/etc/ansible/ansible.cfg'):
            text = read(file) if file else None
            if text is None:
                continue
            parser = configparser.RawConfigParser(inline_comment_prefixes=(';',), strict=False)
            try:
                parser.read_string(text)
                given = parser.get('defaults', 'collections_path', fallback=None) or parser.get('defaults', 'collections_paths', fallback=None)
            except configparser.Error as error:
                problems.append('%s cannot be read: %s' % (file, str(error).splitlines()[0]))
            break
    home = os.environ.get('ANSIBLE_HOME') or '~/.ansible'
    paths = (given or os.path.join(home, 'collections') + ':/usr/share/ansible/collections').split(':')
    return [os.path.expanduser(os.path.expandvars(path.strip())) for path in paths if path.strip()] + [path for path in sys.path if path]


def collections(paths):
    """Of a collection that is there twice, the one that Ansible takes: the first."""
    found = {}
    for path in paths:
        root = path if os.path.basename(path.rstrip('/')) == 'ansible_collections' else os.path.join(path, 'ansible_collections')
        for folder in sorted(glob.glob(os.path.join(glob.escape(root), '*', '*', ''))):
            namespace, name = folder.rstrip('/').split('/')[-2:]
            if not re.match(r'^[A-Za-z_][A-Za-z0-9_]*$', namespace) or not re.match(r'^[A-Za-z_][A-Za-z0-9_]*$', name):
                continue
            version = manifest_version(folder) or source_version(folder)
            found.setdefault('%s.%s' % (namespace, name), {'version': short(version) if version else 'unknown', 'path': short(root)})
    return [dict(name=name, **found[name]) for name in sorted(found)]


def manifest_version(folder):
    """Of a collection that was installed from an archive."""
    text = read(os.path.join(folder, 'MANIFEST.json'))
    try:
        return json.loads(text)['collection_info']['version'] if text else None
    except (ValueError, KeyError, TypeError):
        problems.append('%sMANIFEST.json cannot be read' % folder)
        return None


def source_version(folder):
    """Of a collection that was copied or cloned."""
    match = re.search(r'''^version:\s*['"]?([^'"#\s]+)''', read(os.path.join(folder, 'galaxy.yml')) or '', re.M)
    return match.group(1) if match else None


# --- The system --------------------------------------------------------------------------------------------------

def os_release():
    """What /etc/os-release says; empty if there is none."""
    text = read('/etc/os-release') or read('/usr/lib/os-release') or ''
    found = dict(re.findall(r'''^([A-Z_]+)=["']?(.*?)["']?\s*$''', text, re.M))
    return {key: short(found[name]) for key, name in (('id', 'ID'), ('version', 'VERSION_ID'), ('name', 'PRETTY_NAME')) if found.get(name)}


def dpkg_packages(status='/var/lib/dpkg/status', folder='/var/lib/dpkg/status.d'):
    """Of Debian and its kin; images without a package manager have a file for each package."""
    blocks = (read(status) or '').split('\n\n')
    blocks += [read(name) or '' for name in sorted(glob.glob(os.path.join(folder, '*'))) if not name.endswith('.md5sums')]
    found = []
    for block in blocks:
        headers = fields(block.lstrip('\n'))
        if headers.get('package') and headers.get('version') and headers.get('status', 'install ok installed').endswith(' installed'):
            found.append({'name': short(headers['package']), 'version': short(headers['version']), 'arch': short(headers.get('architecture', ''))})
    return found


def apk_packages(path='/lib/apk/db/installed'):
    """Of Alpine."""
    found = []
    for block in (read(path) or '').split('\n\n'):
        headers = dict(line.split(':', 1) for line in block.splitlines() if ':' in line[:2])
        if headers.get('P') and headers.get('V'):
            found.append({'name': short(headers['P']), 'version': short(headers['V']), 'arch': short(headers.get('A', ''))})
    return found


def rpm_packages():
    """Of Red Hat and its kin: their database needs the program."""
    command = ['rpm', '-qa', '--qf', '%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n']
    try:
        output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=RPM_SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        problems.append('rpm cannot be run: %s' % error)
        return []
    rows = [line.split('\t') for line in output.decode('utf-8', 'replace').splitlines()]
    # Keys that packages are signed with are listed among them.
    return [
        {'name': short(row[0]), 'version': short(row[1]), 'arch': '' if row[2] == '(none)' else short(row[2])}
        for row in rows if len(row) == 3 and row[0] != 'gpg-pubkey'
    ]


def system_packages():
    """Which package manager, and what it has installed."""
    for manager, packages in (('dpkg', dpkg_packages()), ('apk', apk_packages())):
        if packages:
            return manager, packages
    if shutil.which('rpm'):
        return 'rpm', rpm_packages()
    return None, []


# --- All of it ---------------------------------------------------------------------------------------------------

def first(packages, kind):
    if len(packages) > PACKAGES:
        problems.append('only the first %d of %d %s packages are listed' % (PACKAGES, len(packages), kind))
    return sorted(packages, key=lambda package: (package['name'], package['version'], package.get('arch', '')))[:PACKAGES]


def report():
    """The document."""
    python = python_packages()
    manager, system = system_packages()
    return {
        'format': FORMAT,
        'os': os_release(),
        'python': {
            'version': platform.python_version(),
            'executable': short(sys.executable),
            'default': short(os.environ.get(FIRST_PYTHON) or platform.python_version()),
        },
        'ansibleCore': ansible_core(python),
        'ansibleRunner': ansible_runner(python, system),
        'packageManager': manager,
        'pythonPackages': first(python, 'Python'),
        'collections': first(collections(collection_paths()), 'collection'),
        'systemPackages': first(system, 'system'),
        'problems': [short(problem) for problem in problems[:20]],
    }


if __name__ == '__main__':
    run_as_ansible_does()
    # A line for each value: engines cut lines that are very long.
    json.dump(report(), sys.stdout, indent=0, sort_keys=True)
    sys.stdout.write('\n')
