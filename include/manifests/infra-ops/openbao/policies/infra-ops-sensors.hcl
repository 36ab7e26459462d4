# Logs in with current and pending values to see whether services accept them. Writes nothing.
path "infra/data/svc/+" {
  capabilities = ["read"]
}
path "infra/data/rotation/pending/+" {
  capabilities = ["read"]
}
