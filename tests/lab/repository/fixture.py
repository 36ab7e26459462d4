"""An infrastructure repository as it grows over years: 24 playbooks with passwords in every place that people find.

All of them are invented. `TREE` maps each path to its text; `VALUES` each credential to its value.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

VALUES = {
    "synology_admin": "Kestrel-Harbour-77!",
    "pihole_admin": "lantern42",
    "postgres_appuser": "Walnut&Pepper!1234",
    "grafana_admin": "Tr0ut:in@the/pan",
    "airflow_admin": "quartz'lilac#9",
    "flower_celery": "flowerpot",
    "flower_financial_screener": "9d8f7a6b5c4e3d2c",
}
UNKNOWN = "hj3kLm9QpZx7RtVw2Ns8"  # of an SMTP server that no inventory knows


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


V = VALUES
SIMPLE = """\
---
# {title}
- name: {title}
  hosts: {group}
  gather_facts: false

  tasks:
    - name: Say what is done
      ansible.builtin.debug:
        msg: "{title}"   # keep   these   spaces
"""
TREE: dict[str, str] = {
    ".gitignore": "*.retry\n__pycache__/",
    "README.md": f"""# My cluster

Flower is at http://flower.lan (user `admin`, password `{V["flower_celery"]}`), Grafana knows `{V["grafana_admin"]}`.
A flowerpots collection is something else.
""",
    "compose.yml": f"""services:
  pihole:
    image: pihole/pihole:2024.07.0
    environment:
      FTLCONF_webserver_api_password: {V["pihole_admin"]}
      TZ: 'Europe/Berlin'
  screener:
    image: example/screener:1.4.2
    environment:
      - "DATABASE_URL=postgresql://appuser:{V["postgres_appuser"]}@db/screener"
    command: ["serve", {V["flower_financial_screener"]}, --port, "80"]
""",
    "ansible/ansible.cfg": "[defaults]\nroles_path = roles\ninventory = inventory/hosts.yml,inventory/legacy\n",
    "ansible/inventory/hosts.yml": f"""all:
  children:
    servers:
      hosts:
        rpi-1: {{ansible_host: 192.168.1.21, nas_password: {V["synology_admin"]}}}
        rpi-2: {{ansible_host: 192.168.1.22}}
    agents:
      hosts:
        rpi-4:
          ansible_host: 192.168.1.24
          ansible_become_password: '{V["synology_admin"]}'
""",
    "ansible/inventory/legacy": f"""# old machines; the NAS takes {V["synology_admin"]}
[nas]
nas.lan ansible_user=admin ansible_password={V["synology_admin"]} note="a b"

[pihole]
dns-1 ansible_host=192.168.1.30 pihole_url=http://x:{V["pihole_admin"]}@dns-1/admin

[pihole:vars]
pihole_password = {V["pihole_admin"]}
pihole_port=8080
""",
    "ansible/group_vars/all.yml": f"""---
# One for all.   Odd    spacing on purpose.
domain:   stratdata.org
flower_user: admin
flower_password: {V["flower_celery"]}
grafana: {{user: admin, password: "{V["grafana_admin"]}", retries: 0644, on: yes}}
airflow_password: "{V["airflow_admin"]}"
airflow_password_single: '{V["airflow_admin"].replace("'", "''")}'
dsn: postgresql://appuser:{quote(V["postgres_appuser"], safe="")}@postgresql.databases.svc/celery
dsn_again: "{{{{ 'postgresql://appuser:{V["postgres_appuser"]}@db/' ~ domain }}}}"
basic: {_encoded("admin:" + V["flower_celery"])}
motd: |
  Welcome.
  The Pi-hole knows {V["pihole_admin"]} and nobody else.
folded: >-
  one
  {V["flower_financial_screener"]}
  three
plain_words: start {V["flower_financial_screener"]} end
first: {V["flower_financial_screener"]} end
derived: "{{{{ flower_user }}}}:{{{{ flower_password }}}}"
""",
    "ansible/group_vars/servers/main.yml": f'pg:\n  - name: appuser\n    password: "{V["postgres_appuser"]}"\n...\n',
    "ansible/host_vars/rpi-2.yml": f"nas_password: {V['synology_admin']}\r\nport: 22\r\n",
    "ansible/roles/flower/defaults/main.yml": f"flower_basic_auth: admin:{V['flower_celery']}\nflower_port: 5555\n",
    "ansible/roles/flower/tasks/main.yml": """---
- name: Write the environment of Flower
  ansible.builtin.template:
    src: flower.env.j2
    dest: /tmp/flower.env
    mode: "0600"

- name: Nothing secret
  ansible.builtin.debug:
    msg: "{{ flower_port }}"
""",
    "ansible/roles/flower/templates/flower.env.j2": f"""# {{{{ ansible_managed | default('by hand') }}}}
FLOWER_BASIC_AUTH=admin:{V["flower_celery"]}
{{% if flower_port == 5555 %}}
BROKER=postgresql://appuser:{quote(V["postgres_appuser"], safe="")}@db/{{{{ domain }}}}
{{% endif %}}
AUTH={{{{ 'Basic ' ~ ('admin:{V["flower_celery"]}' | b64encode) }}}}
HEADER="Basic {_encoded("admin:" + V["flower_celery"])}"
""",
    "ansible/templates/grafana.ini.j2": f"[sec]\nadmin_password = {V['grafana_admin']}\n# was {V['pihole_admin']}\n",
    "ansible/playbooks/flower.yml": "---\n- hosts: servers\n  gather_facts: no\n  roles: [flower]\n",
    "ansible/playbooks/grafana.yml": """- name: Grafana
  hosts: all
  gather_facts: false
  tasks:
    - template:
        src: ../templates/grafana.ini.j2
        dest: /tmp/grafana.ini
    - {name: short, debug: {msg: "{{ grafana.user }}"}}
""",
    "ansible/playbooks/pihole.yml": f"""---
- name: Pi-hole
  hosts: pihole
  gather_facts: false
  vars_files:
    - ../vars/common.yml
  tasks:
    - name: Set the password
      ansible.builtin.shell: pihole setpassword {V["pihole_admin"]} && echo done   # twice {V["pihole_admin"]}
      changed_when: false

    - name: By curl
      shell: |
        curl -d '{{"password":"{V["pihole_admin"]}"}}' http://pi.hole/api/auth
        echo "{{{{ domain }}}}"
    - name: Compare
      ansible.builtin.assert:
        that:
          - pihole_password == '{V["pihole_admin"]}'
""",
    "ansible/vars/common.yml": "timezone: Europe/Berlin\n",
    "ansible/playbooks/postgres.yml": f"""- hosts: servers
  gather_facts: false
  vars: {{db: celery, password: '{V["postgres_appuser"]}'}}
  vars_files: [../vars/common.yml]
  tasks:
    - name: Make the role
      community_postgresql_user: name=appuser password={V["flower_financial_screener"]} state=present
      when: password != "{V["postgres_appuser"]}"
    - block:
        - name: Ask
          command:
            argv: [psql, "postgresql://appuser:{quote(V["postgres_appuser"], safe="")}@db/celery", -c, select 1]
      rescue:
        - debug:
            msg: failed
""",
    "ansible/playbooks/smtp.yml": f"""- hosts: nas
  gather_facts: false
  vars:
    smtp_password: {UNKNOWN}
  tasks:
    - debug: {{msg: hello}}
""",
    "ansible/playbooks/site.yml": "- import_playbook: flower.yml\n- import_playbook: grafana.yml\n",
}
# The community module is none that ansible-core knows: a stand-in, so that --syntax-check can pass.
TREE["ansible/playbooks/library/community_postgresql_user.py"] = (
    "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"
)
for number in range(1, 19):
    TREE[f"ansible/playbooks/upkeep_{number:02}.yml"] = SIMPLE.format(
        title=f"Upkeep {number}", group=["servers", "agents", "nas"][number % 3]
    )
PLAYBOOKS = [path for path in TREE if path.startswith("ansible/playbooks/") and path.endswith(".yml")]

SMALL: dict[str, str] = {
    "README.md": f"The NAS takes {V['synology_admin']}.\n",
    "ansible/ansible.cfg": "[defaults]\ninventory = inventory/hosts\n",
    "ansible/inventory/hosts": f"[nas]\nnas.lan ansible_password={V['synology_admin']}\n",
    "ansible/playbooks/nas.yml": "- hosts: nas\n  tasks:\n    - debug: {msg: hello}\n",
    "ansible/playbooks/pihole.yml": f"""- hosts: nas
  tasks:
    - shell: pihole setpassword {V["pihole_admin"]}
""",
}
