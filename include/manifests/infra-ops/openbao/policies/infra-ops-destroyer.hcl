# Destroys old versions of credentials for good. It sees which versions there are and never a value.
path "infra/metadata/svc/" {
  capabilities = ["list"]
}
path "infra/metadata/svc/+" {
  capabilities = ["read"]
}
path "infra/destroy/svc/+" {
  capabilities = ["create", "update"]
}
