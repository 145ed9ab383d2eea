/** The words of `./gantry --help`. They stand here because they must also be there before anything is installed. */

export const HELP = `gantry: runs Ansible jobs, each in a pod of its own, with a complete and live record

  ./gantry demo                    set everything up, run the demo job, follow it; exit code 0 if it was successful
  ./gantry up [--detach]           start Gantry on this machine and print the page's address
  ./gantry down                    stop it
  ./gantry status [--json]         what runs, and where
  ./gantry reset                   wipe this machine's data (asks first)

  ./gantry launch TEMPLATE [-e VAR=VALUE] [--limit HOSTS] [--follow]
  ./gantry jobs                    the latest jobs
  ./gantry job ID [--stdout|--events|--timeline] [--json]
  ./gantry relaunch ID [--exact|--current] [--failed-hosts] [-e VAR=VALUE] [--plan] [--accept] [--follow]
                                   a past job again: what is identical, changed or gone is said first
  ./gantry cancel ID
  ./gantry verify ID|FILE          is this record what was written? a job here, or an exported file offline
  ./gantry export ID [-o FILE]     the whole record of a job as a file that needs nothing else
  ./gantry replay ID|FILE [--speed N] [--from EVENT]
                                   its output again, with its own timing
  ./gantry retention               how long output is kept, what it takes on disk, what would go when
  ./gantry ee VERB                 execution environments: list, show, create, change, pull, build, ... (ee --help)
  ./gantry token                   the administrator's token of this machine

  ./gantry test                    lint, types and all tests, against the real parts
  ./gantry bench                   measure it against its budgets
  ./gantry doctor [--json]         what this machine has, what is missing and how to get it

Environment
  GANTRY_HOME            where data, logs and secrets are kept (default: .gantry in the checkout)
  GANTRY_POSTGRES_URL    use this Postgres (as its administrator) instead of starting one
  GANTRY_NATS_URL        use this NATS server with JetStream instead of starting one
  GANTRY_CONTAINER_HOST  use the container engine at this address, unix:///... or tcp://...
  GANTRY_EE_IMAGE        use this image as the local Execution Environment instead of building one
  GANTRY_NO_INSTALL=1    never install packages; say what is missing instead

Exit codes
  0  done; a followed job was successful      4    refused: no such thing, not allowed, not possible now
  1  failed; the followed job too             5    Gantry does not answer
  2  wrong usage                              6    the followed job was canceled
  3  something must be installed by hand      130  stopped by Ctrl-C; a followed job goes on
`;
