/** `inventory`: a job over 60,000 hosts with variables of their own, from the launch until its pod is made; beside one host. */
import { request, type Endpoint } from '../client.js';
import { launch } from '../jobs.command.js';
import type { BenchCase, CaseContext } from './case.js';
import { makeTemplate } from './objects.js';
import { most } from './result.js';
import { untilOver } from './start.case.js';

const LOOK_MILLISECONDS = 20;
const PATIENCE_MILLISECONDS = 120_000;

interface Life {
  job: { status: string; reason: { message: string } | null; timeline: { type: string }[] };
}
const LIFE = `query ($id: ID!) { job(id: $id) { status reason { message } timeline { type } } }`;

/** Seconds from the launch until the pod is made. The job is then canceled: what Ansible makes of its hosts is not measured. */
const untilPod = async (endpoint: Endpoint, template: string): Promise<number> => {
  const started = performance.now();
  const id = await launch(endpoint, template, {});
  for (;;) {
    const { job } = await request<Life>(endpoint, LIFE, { id });
    const seconds = (performance.now() - started) / 1_000;
    if (job.timeline.some(({ type }) => type === 'job.pod_created')) {
      await request(endpoint, 'mutation ($id: ID!) { cancelJob(id: $id, force: true) { __typename } }', {
        id,
      });
      await untilOver(endpoint, id);
      return seconds;
    }
    if (job.reason && job.status === 'ERROR') throw new Error(`The job got no pod: ${job.reason.message}`);
    if (seconds * 1_000 > PATIENCE_MILLISECONDS) throw new Error('The job got no pod in two minutes.');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
};

const measure = async (
  { world, say }: CaseContext,
  hosts: number,
): Promise<{ first: number; again: number }> => {
  const started = performance.now();
  const template = await makeTemplate(world.endpoint, {
    name: `Bench inventory of ${hosts}`,
    playbook: 'chatty.yml',
    hosts,
    hostVariables: (index) => ({
      ansible_host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      site: `site-${index % 200}`,
      roles: ['base', index % 3 === 0 ? 'database' : 'web'],
      limits: { open_files: 1_024 + (index % 7), note: `rack ${index % 97}, unit ${index % 42}` },
    }),
    groups: 200,
    withCredential: true,
  });
  say(`made an inventory of ${hosts} hosts in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  return {
    first: await untilPod(world.endpoint, template),
    again: await untilPod(world.endpoint, template),
  };
};

/** The case. */
export const inventoryCase: BenchCase = {
  name: 'inventory',
  title: 'a job over 60,000 hosts, from launch until its pod is made; beside one host',
  mode: 'embedded',
  run: async (context) => {
    const hosts = context.sized(60_000, 500);
    const one = await measure(context, 1);
    const all = await measure(context, hosts);
    return [
      {
        case: 'inventory',
        what: `launch of a job over ${hosts} hosts with variables, in 200 groups, until its pod is made; its inventory was just made. Beside one host`,
        seconds: all.first,
        reference: { seconds: one.first },
        ratio: all.first / one.first,
        bounds: [most('inventory: seconds until a job of 60,000 hosts has its pod', all.first, 5)],
      },
      {
        case: 'inventory-again',
        what: 'the same job again: the inventory has not changed',
        seconds: all.again,
        reference: { seconds: one.again },
        ratio: all.again / one.again,
        bounds: [most('inventory-again: seconds until it has its pod', all.again, 5)],
      },
    ];
  },
};
