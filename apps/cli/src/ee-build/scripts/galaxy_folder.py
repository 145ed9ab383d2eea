"""A folder of collection archives as a Galaxy server: what `pip --find-links` is to Python packages.

ansible-galaxy can install an archive, but cannot choose among those of a folder. So the folder is served on loopback, by the
few answers of Galaxy's API (version 3) that ansible-galaxy asks for; versions and dependencies are its own business.
"""
import hashlib
import http.server
import json
import os
import tarfile
import threading


def read_manifest(path):
    """The `collection_info` of an archive."""
    with tarfile.open(path) as archive:
        return json.load(archive.extractfile("MANIFEST.json"))["collection_info"]


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read_folder(folder):
    """{(namespace, name): {version: (info, path)}} of all archives in a folder."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".tar.gz"):
            path = os.path.join(folder, name)
            info = read_manifest(path)
            found.setdefault((info["namespace"], info["name"]), {})[info["version"]] = (info, path)
    return found


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder until the process ends; `url` is its address."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answers)
        self.collections = read_folder(folder)
        self.url = "http://127.0.0.1:%d/" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answers(http.server.BaseHTTPRequestHandler):
    """Galaxy's answers."""

    def log_message(self, *_):
        """Says nothing: the build's output is for people."""

    def do_GET(self):
        parts = [part for part in self.path.split("?")[0].split("/") if part]
        if parts[:1] == ["archives"]:
            return self.archive(parts[1:])
        if "collections" not in parts:
            return self.say({"available_versions": {"v3": "v3/"}})
        namespace, name, *rest = parts[parts.index("collections") + 1:]
        versions = self.server.collections.get((namespace, name))
        if not versions:
            return self.say({"errors": [{"status": "404", "title": "not in the folder"}]}, 404)
        base = "/api/v3/collections/%s/%s/" % (namespace, name)
        if not rest:
            return self.say({"namespace": namespace, "name": name, "versions_url": base + "versions/"})
        if len(rest) == 1:
            rows = [{"version": version, "href": base + "versions/%s/" % version} for version in versions]
            return self.say({"meta": {"count": len(rows)}, "links": {"next": None}, "data": rows})
        if rest[1] not in versions:
            return self.say({"errors": [{"status": "404", "title": "not in the folder"}]}, 404)
        info, path = versions[rest[1]]
        return self.say({
            "namespace": {"name": namespace},
            "collection": {"name": name},
            "name": name,
            "version": rest[1],
            "href": base + "versions/%s/" % rest[1],
            # ansible-galaxy takes the name of the file from here.
            "download_url": self.server.url + "archives/%s/%s/%s/%s-%s-%s.tar.gz"
                            % (namespace, name, rest[1], namespace, name, rest[1]),
            "artifact": {"sha256": sha256_of(path), "filename": os.path.basename(path), "size": os.path.getsize(path)},
            "metadata": {"dependencies": info.get("dependencies") or {}},
            "signatures": [],
        })

    def archive(self, parts):
        namespace, name, version, _ = parts
        with open(self.server.collections[(namespace, name)][version][1], "rb") as file:
            body = file.read()
        self.answer(200, "application/gzip", body)

    def say(self, value, status=200):
        self.answer(status, "application/json", json.dumps(value).encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
