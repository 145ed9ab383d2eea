/** The words for whoever finds an archive and knows nothing of Gantry. */
import type { Job } from '@gantry/contracts/job';

/** `README.txt` of a job's archive. */
export const archiveReadme = (job: Job): Buffer =>
  Buffer.from(`The record of one job run by Gantry, a program that runs Ansible playbooks.

  job         ${job.id}
  finished    ${job.finishedAt}
  status      ${job.status}

What is here. Every file is plain text or gzip; nothing of Gantry is needed to read it.

  chunks/*.ndjson.gz   What the playbook did and printed: the events of ansible-runner, one JSON object a line, in the order of
                       their "counter". "stdout" is what was on the screen. Read it all with:
                         cat chunks/*.ndjson.gz | gunzip
                       and only the output with:
                         cat chunks/*.ndjson.gz | gunzip | jq -r 'select(.stdout != "") | .stdout'
  job.ndjson           The life of the job: who launched it, what exactly was run (event job.pinned: commit, image digest,
                       inventory), how it ended.
  record.ndjson        The life of this record: opened, written, sealed.
  hosts.ndjson         Ansible's own numbers for each host.
  manifest.json        What should be here, with the place and the hashes of every chunk.
  SHA256SUMS           The SHA-256 of each file above.

How to check it.

  1. sha256sum -c SHA256SUMS
  2. The events are chained. With || as joining bytes:
       hash(0) = SHA-256("gantry:" || job id)
       hash(n) = SHA-256(hash(n-1) as 32 bytes || bytes of chunk n after gunzip)
     hash(n) is "hash" of that chunk in manifest.json; the last one is "sha256" of the event record.sealed in record.ndjson
     and of job.record_sealed in job.ndjson.
  3. Each line of job.ndjson and record.ndjson is an event; its "hash" is
       SHA-256("previousHash" as 32 bytes || the JSON of {at, data, id, meta, stream, streamVersion, type, version}
               with sorted keys and without spaces)
     and "previousHash" is the hash of the line before, 64 zeros for the first.
  Or, with Gantry: gantry verify FILE. It names every byte that does not belong.

To see it as it ran: gantry replay FILE.
`);
