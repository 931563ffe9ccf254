# Its own credentials, and the verifiers of the clients that log in to it.
path "secret/data/services/rabbitmq" {
  capabilities = ["read"]
}

path "secret/data/services/rabbitmq/clients" {
  capabilities = ["read"]
}

# A certificate for its own names; the key is made in the container.
path "pki/sign/rabbitmq" {
  capabilities = ["update"]
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
