# Looks for passwords in the infrastructure repository and moves them into its vault. It reads all that credentials have
# been, to know them again, and changes none of them.
path "infra/metadata/svc/" {
  capabilities = ["list"]
}
path "infra/metadata/svc/+" {
  capabilities = ["read"]
}
path "infra/data/svc/+" {
  capabilities = ["read"]
}
# HMACs of what credentials have been, and their key.
path "infra/metadata/scan/values/" {
  capabilities = ["list"]
}
path "infra/data/scan/key" {
  capabilities = ["create", "read"]
}
path "infra/data/scan/values/+" {
  capabilities = ["create", "read", "update"]
}
# The vault's password, made once, and its second home.
path "infra/data/ansible/password/+" {
  capabilities = ["create", "read"]
}
path "infra/data/ansible/vault/+" {
  capabilities = ["create", "read", "update"]
}
path "infra/metadata/ansible/vault/+" {
  capabilities = ["read", "patch"]
}
# What it logs in to the Git server with; its owner puts it there.
path "infra/data/ansible/deploy-key/+" {
  capabilities = ["read"]
}
