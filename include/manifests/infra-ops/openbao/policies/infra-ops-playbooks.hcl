# For people and machines that run playbooks: the vault's password, and the vault's second home. No role has it yet: give
# it to your own login.
path "infra/data/ansible/password/+" {
  capabilities = ["read"]
}
path "infra/data/ansible/vault/+" {
  capabilities = ["read", "update"]
}
