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
# Airflow's connections hold copies: it looks for old values in all of them and changes those that exist. The path with
# + stands in infra-ops-connections, too, to the letter: of a token with both policies only the more exact path counts.
path "infra/metadata/airflow/connections/*" {
  capabilities = ["list"]
}
path "infra/data/airflow/connections/*" {
  capabilities = ["read"]
}
path "infra/data/airflow/connections/+" {
  capabilities = ["read", "update"]
}
