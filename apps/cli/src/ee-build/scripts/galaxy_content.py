"""Roles and collections: ansible-galaxy chooses them or the lock names them; archives are fetched first, so that their hashes are known."""
import glob
import hashlib
import json
import os
import re
import subprocess

import galaxy_folder
from common import locked, note, refuse, run

COLLECTIONS = "/usr/share/ansible/collections"
ROLES = "/usr/share/ansible/roles"


def is_direct(entry):
    """Not chosen by a Galaxy server, but named by where it lies."""
    return entry.get("type", "galaxy") != "galaxy" or not re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", entry["name"])


def download(entries, folder, *more):
    """Archives of collections in a folder, by ansible-galaxy; True if it could."""
    if not entries:
        return True
    os.makedirs(folder, exist_ok=True)
    with open("/tmp/wanted.yml", "w") as file:
        json.dump({"collections": entries}, file)
    options = os.environ.get("ANSIBLE_GALAXY_CLI_COLLECTION_OPTS", "").split()
    words = ["ansible-galaxy", "collection", "download", *options, *more, "-r", "/tmp/wanted.yml", "-p", folder]
    print("+ " + " ".join(words), flush=True)
    # Paths in the requirements are relative to the build folder.
    return subprocess.call(words, cwd="/build") == 0


def archives(folder):
    """{name: (version, path)} of the archives in a folder."""
    return {info["namespace"] + "." + info["name"]: (info["version"], path)
            for path in glob.glob(folder + "/*.tar.gz") for info in [galaxy_folder.read_manifest(path)]}


def galaxy():
    """Downloads and installs what /build/requirements.yml wants."""
    if subprocess.call(["ansible-galaxy", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        refuse("the base stage has no ansible-galaxy: name dependencies.ansible_core, or take a base image that has it")
    import yaml
    with open("/build/requirements.yml") as file:
        wanted = yaml.safe_load(file)
    os.environ.update(ANSIBLE_GALAXY_DISABLE_GPG_VERIFY="1", LC_ALL="C.UTF-8", ANSIBLE_COLLECTIONS_PATH=COLLECTIONS)
    if os.path.isdir("/build/galaxy"):
        server = galaxy_folder.Server("/build/galaxy")
        # A list of servers goes before a single one, also before that of an ansible.cfg.
        os.environ.update(ANSIBLE_GALAXY_SERVER_LIST="folder", ANSIBLE_GALAXY_SERVER_FOLDER_URL=server.url)
    os.makedirs(COLLECTIONS, exist_ok=True)
    install_roles(wanted.get("roles") or [])
    install_collections(wanted.get("collections") or [])


def install_roles(roles):
    """Installs roles; with a lock in its versions."""
    if not roles:
        return
    versions = {role["name"]: role["version"] for role in locked("roles") or [] if role["version"]}
    for role in roles:
        name = role.get("name") or role.get("src")
        if name in versions:
            role["version"] = versions[name]
    with open("/tmp/roles.yml", "w") as file:
        json.dump({"roles": roles}, file)
    options = os.environ.get("ANSIBLE_GALAXY_CLI_ROLE_OPTS", "").split()
    run("ansible-galaxy", "role", "install", *options, "-r", "/tmp/roles.yml", "--roles-path", ROLES, cwd="/build")


def install_collections(entries):
    """Downloads collections, compares them with the lock, notes them, installs them."""
    direct = [entry for entry in entries if is_direct(entry)]
    exact = locked("collections")
    if exact is None:
        if not download(direct, "/tmp/direct", "--no-deps") or not download(entries, "/tmp/all"):
            refuse("ansible-galaxy cannot fetch the collections: its words stand above")
    else:
        sources = {entry["name"]: entry["source"] for entry in entries if "source" in entry}
        chosen = [one for one in exact if not one.get("direct")]
        pinned = [dict({"name": one["name"], "version": one["version"]},
                       **({"source": sources[one["name"]]} if one["name"] in sources else {})) for one in chosen]
        if not download(direct, "/tmp/direct", "--no-deps") or not download(pinned, "/tmp/all", "--no-deps"):
            missing = [entry for entry in pinned if not download([entry], "/tmp/all", "--no-deps")]
            refuse(*["the collection %(name)s %(version)s of the lock cannot be had any more" % entry for entry in missing]
                   or ["ansible-galaxy cannot fetch the collections: its words stand above"])
        os.makedirs("/tmp/all", exist_ok=True)
        for _, path in archives("/tmp/direct").values():
            os.rename(path, "/tmp/all/" + os.path.basename(path))
    found = archives("/tmp/all")
    by_itself = set(archives("/tmp/direct")) if exact is None else {one["name"] for one in exact if one.get("direct")}
    if exact is not None:
        compare(exact, found)
    elif len(found) < len(entries):
        refuse("ansible-galaxy downloaded %d collections where at least %d are wanted" % (len(found), len(entries)))
    if found:
        run("ansible-galaxy", "collection", "install", "--no-deps", "--force", "-p", COLLECTIONS,
            *sorted(path for _, path in found.values()))
    note("collections", [
        dict({"name": name, "version": version, "sha256": galaxy_folder.sha256_of(path), "contents": contents_of(name)},
             **({"direct": True} if name in by_itself else {}))
        for name, (version, path) in sorted(found.items())])


def compare(exact, found):
    """An archive from elsewhere is built anew, with other times in it: of such, the content is compared in the end."""
    wrong = []
    for one in exact:
        if one["name"] not in found:
            wrong.append("the collection %(name)s %(version)s of the lock cannot be had any more" % one)
            continue
        version, path = found[one["name"]]
        sha256 = galaxy_folder.sha256_of(path)
        if version != one["version"] or (not one.get("direct") and sha256 != one["sha256"]):
            wrong.append("the collection %s is %s with the SHA-256 %s; locked is %s with %s"
                         % (one["name"], version, sha256, one["version"], one["sha256"]))
    if wrong:
        refuse(*wrong)


def contents_of(name):
    """SHA-256 of the list of a collection's files, which has the hash of each."""
    with open("%s/ansible_collections/%s/MANIFEST.json" % (COLLECTIONS, name.replace(".", "/"))) as file:
        return json.load(file)["file_manifest_file"]["chksum_sha256"]


def tree_hash(folder):
    """SHA-256 of names and contents of all files below a folder; what ansible-galaxy notes about an installation does not count."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(folder + "/**", recursive=True)):
        if os.path.isfile(path) and not path.endswith(".galaxy_install_info"):
            digest.update(("%s\0%s\n" % (os.path.relpath(path, folder), galaxy_folder.sha256_of(path))).encode())
    return digest.hexdigest()


def installed_roles():
    """The roles that are there, for the record."""
    for folder in sorted(glob.glob(ROLES + "/*/")):
        import yaml
        try:
            with open(folder + "meta/.galaxy_install_info") as file:
                version = (yaml.safe_load(file) or {}).get("version")
        except FileNotFoundError:
            version = None
        yield {"name": os.path.basename(folder.rstrip("/")), "version": version and str(version), "contents": tree_hash(folder)}
