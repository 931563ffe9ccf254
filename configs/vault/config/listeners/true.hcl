# Plain HTTP and TLS, each on a port of its own; everything in the stack uses TLS.
listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_disable     = true
}

# One file holds key and certificates, so that a renewal replaces both or none. Read anew at SIGHUP.
listener "tcp" {
  address         = "0.0.0.0:8210"
  cluster_address = "127.0.0.1:8211"
  tls_cert_file   = "/vault/tls/server.pem"
  tls_key_file    = "/vault/tls/server.pem"
  tls_min_version = "tls12"
}
