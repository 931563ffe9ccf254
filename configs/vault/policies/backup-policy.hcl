# Its own credentials, and the verifiers of the clients that log in to it.
path "secret/data/services/backup" {
  capabilities = ["read"]
}

path "secret/data/services/backup/clients" {
  capabilities = ["read"]
}

# What it dumps: the credentials of every engine with data.
path "secret/data/services/postgres" {
  capabilities = ["read"]
}

path "secret/data/services/mysql" {
  capabilities = ["read"]
}

path "secret/data/services/mongodb" {
  capabilities = ["read"]
}

path "secret/data/services/redis" {
  capabilities = ["read"]
}

path "secret/data/services/rabbitmq" {
  capabilities = ["read"]
}

path "secret/data/services/forgejo" {
  capabilities = ["read"]
}

# A copy of Vault itself, encrypted by Vault's own barrier.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}

# Its own token: the role has no default policy.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
