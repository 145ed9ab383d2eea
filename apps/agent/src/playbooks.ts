/**
 * Playbooks on which the agent's events are compared with ansible-runner's. Each brings out events of other kinds.
 * On one host: with more, the results of a task race each other and the start of the next host in Ansible itself.
 */
export const playbooks: Record<string, { files: Record<string, string>; arguments?: string[] }> = {
  'facts, loops and changes': {
    arguments: ['--limit', 'alpha'],
    files: {
      'site.yml': `
- name: First
  hosts: all
  gather_facts: true
  gather_subset: [min]
  tasks:
    - name: Loop
      debug: {msg: "item {{ item }}"}
      loop: [1, 2, 3]
    - name: Change
      command: echo changed
    - name: Skip
      debug: {msg: never}
      when: false
    - name: Rescue
      block:
        - name: Fail
          fail: {msg: on purpose}
      rescue:
        - name: Save
          debug: {msg: saved}
      always:
        - debug: {msg: always}
    - name: Ignore
      command: /bin/false
      ignore_errors: true
    - name: Notify
      command: echo notify
      notify: Handle
    - name: Register
      set_stats: {data: {answer: 42, host: "{{ inventory_hostname }}"}, per_host: false}
    - name: Hidden
      debug: {msg: hidden}
      no_log: true
    - name: Include
      include_tasks: more.yml
    - name: Retry
      command: /bin/false
      register: tried
      until: tried.rc == 0
      retries: 1
      delay: 0
      ignore_errors: true
  handlers:
    - name: Handle
      debug: {msg: handled}
- name: Second
  hosts: nobody
  tasks: [{debug: {msg: no}}]
`,
      'more.yml': '- name: Included\n  debug: {msg: more}\n- name: Text\n  debug:\n    msg: "ünïcödé ☃ 😀"\n',
    },
  },
  'a role, a template and -vv': {
    arguments: ['-vv', '--diff', '--limit', 'alpha'],
    files: {
      'site.yml':
        '- hosts: all\n  gather_facts: false\n  serial: 2\n  roles: [greet]\n  tasks:\n    - import_tasks: more.yml\n      tags: [x]\n',
      'more.yml': '- name: Imported\n  debug: {var: inventory_hostname}\n',
      'roles/greet/tasks/main.yml':
        '- name: Greet\n  template: {src: hello.j2, dest: "/tmp/{{ inventory_hostname }}"}\n  notify: told\n',
      'roles/greet/templates/hello.j2': 'Hello {{ inventory_hostname }}\n',
      'roles/greet/handlers/main.yml': '- name: told\n  debug: {msg: told}\n',
    },
  },
  'warnings and a failure': {
    arguments: ['--limit', 'alpha'],
    files: {
      'site.yml':
        '- hosts: all:nowhere\n  gather_facts: false\n  strategy: linear\n  tasks:\n    - name: Warn\n      debug: {msg: "{{ 1 }}"}\n      when: "{{ true }}"\n    - name: Break\n      command: /no/such/command\n    - debug: {msg: unreached}\n',
      'ansible.cfg': '[defaults]\nforks = 1\n',
    },
  },
  'a syntax error': {
    files: {
      'site.yml': '- hosts: alpha\n  tasks:\n    - nonsense_module_xyz: {a: 1}\n      bad_keyword: 1\n',
    },
  },
  'broken YAML': { files: { 'site.yml': '- hosts: alpha\n  tasks: [\n' } },
  'no colours': {
    files: {
      'site.yml': '- hosts: alpha\n  gather_facts: false\n  tasks: [{debug: {msg: plain}}]\n',
      'ansible.cfg': '[defaults]\nnocolor = true\n',
    },
  },
};
