# Rotates: writes current and pending values and notes what was measured. It deletes only what is pending, so a version
# of svc/ that somebody still needs cannot be lost by it.
path "infra/data/svc/+" {
  capabilities = ["create", "read", "update"]
}
path "infra/metadata/svc/+" {
  capabilities = ["read", "patch"]
}
path "infra/data/rotation/pending/+" {
  capabilities = ["create", "read", "update"]
}
path "infra/metadata/rotation/pending/+" {
  capabilities = ["read", "patch", "delete"]
}
