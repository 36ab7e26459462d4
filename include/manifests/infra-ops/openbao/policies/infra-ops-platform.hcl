# The runbook deploy_openbao. Who may write policies can give itself any right, so nobody else logs in as this one.
path "sys/policies/acl/infra-ops-*" {
  capabilities = ["create", "read", "update"]
}
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/mounts/infra" {
  capabilities = ["create", "update"]
}
path "sys/auth" {
  capabilities = ["read"]
}
path "sys/auth/approle" {
  capabilities = ["create", "update", "sudo"]
}
path "auth/kubernetes/config" {
  capabilities = ["create", "read", "update"]
}
path "auth/kubernetes/role/infra-ops-*" {
  capabilities = ["create", "read", "update"]
}
path "auth/approle/role/infra-ops-outside" {
  capabilities = ["create", "read", "update"]
}
path "infra/config" {
  capabilities = ["create", "read", "update"]
}
# Recovery keys: made once, and handed over.
path "sys/rotate/recovery/*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
# Tokens of one minute with the policies of each identity, to prove what it may do and what not.
path "auth/token/roles/infra-ops-proof" {
  capabilities = ["create", "read", "update"]
}
path "auth/token/create/infra-ops-proof" {
  capabilities = ["update"]
}
path "infra/data/canary/proof" {
  capabilities = ["create", "read", "update"]
}
