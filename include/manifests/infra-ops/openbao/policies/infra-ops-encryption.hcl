# The runbook secrets_encryption: keeps the keys of the API servers, and what was proved of them. It can lose none: there
# is nothing that it may delete.
path "infra/data/k3s/secrets_encryption" {
  capabilities = ["create", "read", "update"]
}
path "infra/metadata/k3s/secrets_encryption" {
  capabilities = ["read", "patch"]
}
