# Takes snapshots, which it cannot read: they are encrypted. The canary is what a restored store is asked for.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}
path "infra/data/canary/backup" {
  capabilities = ["create", "read", "update"]
}
