# Its own credentials, and the verifiers of the clients that log in to it.
path "secret/data/services/migrate" {
  capabilities = ["read"]
}

path "secret/data/services/migrate/clients" {
  capabilities = ["read"]
}

# The databases whose schemas it changes.
path "secret/data/services/postgres" {
  capabilities = ["read"]
}

path "secret/data/services/mysql" {
  capabilities = ["read"]
}

path "secret/data/services/mongodb" {
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
