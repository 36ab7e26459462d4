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
# Logins from outside of the cluster, for the owner (docs/real-cluster.md). Nobody else: a login that outlives its pod is
# nothing that a task should be able to give itself.
path "auth/approle/role/infra-ops-outside/role-id" {
  capabilities = ["read"]
}
path "auth/approle/role/infra-ops-outside/secret-id" {
  capabilities = ["update"]
}
path "infra/config" {
  capabilities = ["create", "read", "update"]
}
# Recovery keys: made once, and handed over.
path "sys/rotate/recovery/*" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
# A root token from two recovery keys, which only their owner has.
path "sys/generate-root-token/attempt" {
  capabilities = ["read", "update", "delete"]
}
path "sys/generate-root-token/update" {
  capabilities = ["update"]
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
