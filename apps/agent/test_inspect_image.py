"""Unit tests of the inspector. Run with `python3 -m unittest` in this folder."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import inspect_image


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        del inspect_image.problems[:]

    def tearDown(self):
        self.folder.cleanup()

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(text)
        return full


class PythonPackages(Folder):
    def test_are_read_from_every_form_of_metadata(self):
        self.write('site/Jinja2-3.1.6.dist-info/METADATA', 'Metadata-Version: 2.1\nName: Jinja2\nVersion: 3.1.6\n\nName: not this\n')
        self.write('site/old.egg-info/PKG-INFO', 'Name: old\nVersion: 1.0\n')
        self.write('site/single-1.egg-info', 'Name: single\nVersion: 2\n')
        self.write('site/broken.dist-info/METADATA', 'nothing')
        self.assertEqual(inspect_image.python_packages([os.path.join(self.root, 'site')]), [
            {'name': 'Jinja2', 'version': '3.1.6'}, {'name': 'old', 'version': '1.0'}, {'name': 'single', 'version': '2'},
        ])

    def test_are_what_python_finds_first(self):
        for number, name in ((1, 'Some.Name'), (2, 'some_name')):
            self.write('site%d/a.dist-info/METADATA' % number, 'Name: %s\nVersion: %d\n' % (name, number))
        paths = [os.path.join(self.root, 'site%d' % number) for number in (1, 2)]
        self.assertEqual(inspect_image.python_packages(paths), [{'name': 'Some.Name', 'version': '1'}])


class AnsibleRunner(Folder):
    def test_has_the_version_of_its_package_where_it_calls_itself_0(self):
        with mock.patch.object(inspect_image, 'module_folder', return_value='/x'):
            system = [{'name': 'python3-ansible-runner', 'version': '1:2.4.1-2', 'arch': 'all'}]
            self.assertEqual(inspect_image.ansible_runner([{'name': 'ansible-runner', 'version': '0.0.0'}], system), '2.4.1')
            self.assertEqual(inspect_image.ansible_runner([{'name': 'ansible_runner', 'version': '2.3.6'}], system), '2.3.6')
            self.assertEqual(inspect_image.ansible_runner([], []), 'unknown')
        self.assertIsNone(inspect_image.ansible_runner([], []))


class Collections(Folder):
    def test_are_found_in_every_path_and_the_first_counts(self):
        manifest = json.dumps({'collection_info': {'namespace': 'community', 'name': 'general', 'version': '7.5.0'}})
        self.write('one/ansible_collections/community/general/MANIFEST.json', manifest)
        self.write('two/ansible_collections/community/general/MANIFEST.json', manifest.replace('7.5.0', '1.0.0'))
        self.write('two/ansible_collections/my/own/galaxy.yml', 'namespace: my\nname: own\nversion: "0.1.0"  # ours\n')
        self.write('two/ansible_collections/my/broken/MANIFEST.json', '{')
        self.write('two/ansible_collections/my.own-1.0.0.info/GALAXY.yml', '')
        found = inspect_image.collections([os.path.join(self.root, name) for name in ('none', 'one', 'two')])
        self.assertEqual([(one['name'], one['version']) for one in found], [('community.general', '7.5.0'), ('my.broken', 'unknown'), ('my.own', '0.1.0')])
        self.assertEqual(len(inspect_image.problems), 1)

    def test_lie_where_the_configuration_says(self):
        config = self.write('ansible.cfg', '[defaults]\ncollections_path = ~/a:/b ; more\n')
        with mock.patch.dict(os.environ, {'ANSIBLE_CONFIG': config, 'HOME': '/home/x'}, clear=True):
            self.assertEqual(inspect_image.collection_paths()[:2], ['/home/x/a', '/b'])
        with mock.patch.dict(os.environ, {'ANSIBLE_COLLECTIONS_PATH': '/c', 'ANSIBLE_CONFIG': config}, clear=True):
            self.assertEqual(inspect_image.collection_paths()[0], '/c')
        with mock.patch.dict(os.environ, {'ANSIBLE_CONFIG': '/nowhere', 'HOME': '/home/x'}, clear=True):
            self.assertEqual(inspect_image.collection_paths()[:2], ['/home/x/.ansible/collections', '/usr/share/ansible/collections'])


class SystemPackages(Folder):
    def test_of_debian_are_those_that_are_installed(self):
        status = self.write('status', (
            'Package: git\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.47\nDescription: x\n Version: 9\n\n'
            'Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n'
        ))
        self.write('status.d/base', 'Package: base-files\nVersion: 13\nArchitecture: all\n')
        self.write('status.d/base.md5sums', 'x')
        self.assertEqual(inspect_image.dpkg_packages(status, os.path.join(self.root, 'status.d')), [
            {'name': 'git', 'version': '1:2.47', 'arch': 'amd64'}, {'name': 'base-files', 'version': '13', 'arch': 'all'},
        ])

    def test_of_alpine(self):
        path = self.write('installed', 'C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36-r1\n')
        self.assertEqual(inspect_image.apk_packages(path), [
            {'name': 'musl', 'version': '1.2.5-r0', 'arch': 'x86_64'}, {'name': 'busybox', 'version': '1.36-r1', 'arch': ''},
        ])

    def test_of_red_hat_are_what_rpm_says(self):
        rpm = self.write('bin/rpm', '#!/bin/sh\nprintf "bash\\t1:5.1-9.el9\\tx86_64\\ngpg-pubkey\\t1-2\\t(none)\\nodd line\\n"\n')
        os.chmod(rpm, 0o755)
        with mock.patch.dict(os.environ, {'PATH': os.path.dirname(rpm)}):
            self.assertEqual(inspect_image.rpm_packages(), [{'name': 'bash', 'version': '1:5.1-9.el9', 'arch': 'x86_64'}])
        with mock.patch.dict(os.environ, {'PATH': self.root}):
            self.assertEqual(inspect_image.rpm_packages(), [])
        self.assertIn('rpm cannot be run', inspect_image.problems[0])


class TheProgram(Folder):
    def run_it(self, path):
        program = 'import zlib;exec(zlib.decompress(%r))'
        with open(inspect_image.__file__, 'rb') as file:
            import zlib
            program = program % zlib.compress(file.read())
        environment = dict(os.environ, PATH=path)
        return json.loads(subprocess.run([sys.executable, '-c', program], stdout=subprocess.PIPE, env=environment, check=True).stdout)

    def test_prints_one_document(self):
        document = self.run_it(os.environ['PATH'])
        self.assertEqual(document['format'], 1)
        self.assertEqual(document['python']['default'].split('.')[:2], [str(part) for part in sys.version_info[:2]])

    def test_goes_on_as_the_python_of_ansible_playbook(self):
        import venv
        home = os.path.join(self.root, 'env')
        venv.create(home, with_pip=False)
        python = os.path.join(home, 'bin', 'python')
        site = subprocess.run([python, '-c', 'import site; print(site.getsitepackages()[0])'], stdout=subprocess.PIPE, check=True).stdout
        self.write(os.path.join(site.decode().strip(), 'ansible', 'release.py'), "__version__ = '2.16.3'\n")
        self.write(os.path.join(site.decode().strip(), 'ansible', '__init__.py'), 'raise SystemExit("nobody imports this")\n')
        os.chmod(self.write('env/bin/ansible-playbook', '#!%s\n' % python), 0o755)
        document = self.run_it(os.path.join(home, 'bin') + ':/usr/bin:/bin')
        self.assertEqual(document['ansibleCore'], '2.16.3')
        self.assertEqual(document['python']['executable'], python)


if __name__ == '__main__':
    unittest.main()
